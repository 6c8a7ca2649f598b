# SPDX-License-Identifier: BSD-3-Clause
# tests.cmake -- every tests/{unit,parity,science}/test_*.c is one program (Check, one suite each), every
# tests/{cli,lint}/*.sh or *.py one script; the folder is the CTest label.  Both are counted by tools/run-tests.
pkg_check_modules(CHECK IMPORTED_TARGET check)
if(NOT CHECK_FOUND)
  message(STATUS "check not found: no tests")
  return()
endif()
# Test environment. Threads sleep while they wait (tests share few cores); under the thread sanitizer Archer tells
# it what OpenMP synchronises, and libraries that were not built with it are left out.
set(test_environment OMP_WAIT_POLICY=passive)
if(XANI_SANITIZE MATCHES "thread")
  file(GLOB ARCHER /usr/lib/llvm-*/lib/libarcher.so)
  if(NOT ARCHER)
    message(FATAL_ERROR "libarcher.so not found: without it OpenMP gives false races (Debian: libomp-dev)")
  endif()
  list(GET ARCHER -1 ARCHER)
  list(APPEND test_environment OMP_TOOL_LIBRARIES=${ARCHER} "TSAN_OPTIONS=ignore_noninstrumented_modules=1 halt_on_error=0")
elseif(XANI_SANITIZE)
  list(APPEND test_environment ASAN_OPTIONS=strict_string_checks=1
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1)
endif()

add_custom_target(tests)
foreach(folder unit parity science)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/test_*.c)
  foreach(f ${sources})
    get_filename_component(name ${f} NAME_WE)
    add_executable(${folder}-${name} ${f})
    target_link_libraries(${folder}-${name} PRIVATE xani_static PkgConfig::CHECK)
    target_include_directories(${folder}-${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(${folder}-${name} PRIVATE XN_SHARED_DATA="${CMAKE_SOURCE_DIR}/../shared/data")
    set_target_properties(${folder}-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_dependencies(tests ${folder}-${name})
    add_test(NAME ${folder}/${name} COMMAND ${folder}-${name} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    set_tests_properties(${folder}/${name} PROPERTIES LABELS ${folder} SKIP_RETURN_CODE 77 TIMEOUT 600
      ENVIRONMENT "${test_environment}")
  endforeach()
endforeach()

# The family of datasets: one generator, one referee, several programs.
file(GLOB family CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/family/*.c)
list(FILTER family EXCLUDE REGEX "/test_[^/]*$")
add_library(family OBJECT ${family})
target_link_libraries(family PUBLIC xani_options PkgConfig::CHECK)
target_include_directories(family PUBLIC ${CMAKE_SOURCE_DIR}/tests)
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/family/test_*.c)
foreach(f ${sources})
  get_filename_component(name ${f} NAME_WE)
  add_executable(family-${name} ${f})
  target_link_libraries(family-${name} PRIVATE family xani_static)
  target_compile_definitions(family-${name} PRIVATE XN_SHARED_DATA="${CMAKE_SOURCE_DIR}/../shared/data")
  set_target_properties(family-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_dependencies(tests family-${name})
  add_test(NAME family/${name} COMMAND family-${name} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  set_tests_properties(family/${name} PROPERTIES LABELS family SKIP_RETURN_CODE 77 TIMEOUT 900
    ENVIRONMENT "${test_environment}")
endforeach()

# The device driver's own source on an emulated runtime: it needs a C++ compiler, not CUDA.
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
  set(emulation ${CMAKE_SOURCE_DIR}/tests/emulation)
  add_executable(parity-test_device ${emulation}/test_device.c ${emulation}/driver.cpp ${emulation}/runtime.cpp)
  target_link_libraries(parity-test_device PRIVATE xani_static PkgConfig::CHECK)
  target_include_directories(parity-test_device PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  set_source_files_properties(${emulation}/driver.cpp ${emulation}/runtime.cpp PROPERTIES COMPILE_OPTIONS
    "-I${emulation};-std=gnu++17;-O2;-Wno-unknown-pragmas;-Wno-shadow")
  set_target_properties(parity-test_device PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_dependencies(tests parity-test_device)
  if(XANI_HAVE_CUDA) # for `make gpu-test`: the same on the machine's own devices
    add_executable(gpu-test EXCLUDE_FROM_ALL ${emulation}/test_device.c ${emulation}/driver.cpp ${emulation}/runtime.cpp)
    target_link_libraries(gpu-test PRIVATE xani_static PkgConfig::CHECK)
    target_include_directories(gpu-test PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_compile_definitions(gpu-test PRIVATE XN_REAL_DEVICE)
    set_target_properties(gpu-test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  endif()
  add_test(NAME parity/test_device COMMAND parity-test_device WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
else()
  add_test(NAME parity/test_device COMMAND sh -c "echo 'no C++ compiler'; exit 77")
endif()
set_tests_properties(parity/test_device PROPERTIES LABELS parity SKIP_RETURN_CODE 77 TIMEOUT 600
  ENVIRONMENT "${test_environment}")

set(script_environment ${test_environment} XN_ROOT=${CMAKE_SOURCE_DIR} XN_BUILD=${CMAKE_BINARY_DIR}
  XN_VERSION=${PROJECT_VERSION} CC=${CMAKE_C_COMPILER} XN_SANITIZE=${XANI_SANITIZE}
  XN_NVCC=$<$<BOOL:${XANI_HAVE_CUDA}>:${XANI_NVCC}>)
foreach(folder cli lint)
  file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.sh ${CMAKE_SOURCE_DIR}/tests/${folder}/*.py)
  if(folder STREQUAL "cli" AND NOT TARGET xani)
    continue()
  endif()
  foreach(f ${scripts})
    get_filename_component(name ${f} NAME_WE)
    add_test(NAME ${folder}/${name} COMMAND ${CMAKE_SOURCE_DIR}/tools/run-script ${folder}/${name} ${f}
      ${CMAKE_BINARY_DIR}/xani ${CMAKE_BINARY_DIR}/scratch/${folder}-${name})
    set_tests_properties(${folder}/${name} PROPERTIES LABELS ${folder} SKIP_RETURN_CODE 77 TIMEOUT 900
      ENVIRONMENT "${script_environment}")
  endforeach()
endforeach()
