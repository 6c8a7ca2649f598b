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
add_dependencies(tests xani-worker)
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

include(${CMAKE_SOURCE_DIR}/cmake/checks.cmake)

# Stand-ins for libcufile: of today, before its parameters, before version 1.7, and one that lacks a symbol.
foreach(fake "fakecufile;1150" "fakecufile_json;1110;FAKE_NO_PARAMETERS" "fakecufile_old;1060;FAKE_NO_PARAMETERS"
    "fakecufile_missing;1150;FAKE_NO_READ")
  list(POP_FRONT fake name version)
  add_library(${name} MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/emulation/fake_cufile.c)
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE FAKE_VERSION=${version} ${fake})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  list(APPEND fakes ${name})
endforeach()
add_dependencies(unit-test_cufile ${fakes})
target_compile_definitions(unit-test_cufile PRIVATE XN_FAKE_CUFILE="${CMAKE_BINARY_DIR}/tests")

# The device drivers' own source on an emulated runtime: it needs a C++ compiler, not CUDA.
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
  set(emulation ${CMAKE_SOURCE_DIR}/tests/emulation)
  set(emulated ${emulation}/driver.cpp ${emulation}/io_driver.cpp ${emulation}/sum_driver.cpp
    ${emulation}/runtime.cpp)
  set_source_files_properties(${emulated} PROPERTIES COMPILE_OPTIONS
    "-I${emulation};-std=gnu++17;-O2;-Wno-unknown-pragmas;-Wno-shadow")
  add_library(emulation STATIC EXCLUDE_FROM_ALL ${emulated})
  target_link_libraries(emulation PUBLIC xani_static)
endif()
file(GLOB emulation_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/emulation/test_*.c)
foreach(f ${emulation_tests})
  get_filename_component(name ${f} NAME_WE)
  if(CMAKE_CXX_COMPILER)
    set(programs parity-${name})
    if(XANI_HAVE_CUDA) # for `make gpu-test`: the same on the machine's own devices
      list(APPEND programs gpu-${name})
    endif()
    foreach(program ${programs})
      add_executable(${program} ${f})
      target_link_libraries(${program} PRIVATE emulation PkgConfig::CHECK)
      target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
      target_compile_definitions(${program} PRIVATE XN_FAKE_CUFILE="${CMAKE_BINARY_DIR}/tests")
      add_dependencies(${program} ${fakes})
      if(name STREQUAL "test_device_array")
        target_link_libraries(${program} PRIVATE family)
      endif()
      set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests LINKER_LANGUAGE CXX)
    endforeach()
    add_dependencies(tests parity-${name})
    add_test(NAME parity/${name} COMMAND parity-${name} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    if(XANI_HAVE_CUDA)
      target_compile_definitions(gpu-${name} PRIVATE XN_REAL_DEVICE)
      set_target_properties(gpu-${name} PROPERTIES EXCLUDE_FROM_ALL ON)
      list(APPEND gpu_tests gpu-${name})
    endif()
  else()
    add_test(NAME parity/${name} COMMAND sh -c "echo 'no C++ compiler'; exit 77")
  endif()
  set_tests_properties(parity/${name} PROPERTIES LABELS parity SKIP_RETURN_CODE 77 TIMEOUT 600
    ENVIRONMENT "${test_environment}")
endforeach()
if(XANI_HAVE_CUDA)
  add_custom_target(gpu-test DEPENDS ${gpu_tests})
endif()

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

# Where programs run side by side, the long ones begin first: seconds, as measured.
foreach(cost "cli/science;180" "lint/device_resources;130" "cli/outside;100" "cli/index;65" "science/test_fit_success;60"
    "cli/layout_sacla;60" "cli/second_axis;50" "cli/kill_calls;50" "cli/layout_euxfel;45" "cli/plan;40")
  list(GET cost 0 name)
  if(TEST ${name})
    list(GET cost 1 cost)
    set_tests_properties(${name} PROPERTIES COST ${cost})
  endif()
endforeach()
