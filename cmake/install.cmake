# SPDX-License-Identifier: BSD-3-Clause
# install.cmake -- what `make install` copies: libraries, headers, pkg-config file, crystals, man pages.
install(TARGETS xani_shared xani_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS xani-worker RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/xani)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/xani DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/xani)
configure_file(${CMAKE_SOURCE_DIR}/cmake/xani.pc.in ${CMAKE_BINARY_DIR}/xani.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/xani.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Man pages: the key table of xani(5) comes from core/config.def, the commands of xani(1) from cli/commands.def.
add_executable(make-man ${CMAKE_SOURCE_DIR}/tools/make-man.c)
target_link_libraries(make-man PRIVATE xani_static)
target_include_directories(make-man PRIVATE ${CMAKE_SOURCE_DIR})
find_program(SCDOC scdoc)
if(NOT SCDOC)
  message(STATUS "scdoc not found: no man pages")
  return()
endif()
foreach(section 1 5)
  set(page ${CMAKE_BINARY_DIR}/xani.${section})
  set(text ${CMAKE_SOURCE_DIR}/docs/man/xani.${section}.scd)
  add_custom_command(OUTPUT ${page} DEPENDS make-man ${text}
    COMMAND make-man ${text} > ${page}.scd COMMAND ${SCDOC} < ${page}.scd > ${page} VERBATIM)
  list(APPEND pages ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
add_custom_target(man ALL DEPENDS ${pages})
