# SPDX-License-Identifier: BSD-3-Clause
# cli.cmake -- the command: cli/*.c and bench/*.c with the static library, jansson and PLplot.
# Benchmarks may include the library's internal headers; cli/ includes only <xani/xani.h> and its own.
if(NOT EXISTS ${CMAKE_SOURCE_DIR}/src/xani.c OR NOT EXISTS ${CMAKE_SOURCE_DIR}/cli/report.c)
  return()
endif()
pkg_check_modules(PLPLOT REQUIRED IMPORTED_TARGET plplot)
file(GLOB BENCH_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
add_executable(xani ${CLI_SOURCES} ${BENCH_SOURCES})
target_include_directories(xani PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(xani PRIVATE xani_static PkgConfig::PLPLOT)
install(TARGETS xani RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
