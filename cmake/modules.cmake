# The main of every unit test.
if(NOT CONCORDAT_FUZZ)
  add_library(concordat_test_main STATIC ${CMAKE_SOURCE_DIR}/tests/unit/main.cpp)
  target_link_libraries(concordat_test_main PUBLIC GTest::gtest)
endif()

# A module is a folder: every *.cpp makes the static library concordat_<name>, every *_test.cpp the test <name>_test.
# `LINK` names what it stands on; `EXCLUDE` files that hold a main of their own.
function(concordat_module name)
  cmake_parse_arguments(ARG "" "" "LINK;TEST_LINK;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()

  add_library(concordat_${name} STATIC ${sources})
  target_include_directories(concordat_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(concordat_${name} PUBLIC ${ARG_LINK})

  if(tests AND NOT CONCORDAT_FUZZ)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE concordat_${name} GTest::gtest concordat_test_main ${ARG_TEST_LINK})
    # Looking into a result that is not there ends the test: what an earlier one left in its place may look right.
    target_compile_definitions(${name}_test PRIVATE CONCORDAT_TEST_DATA="tests/data" _GLIBCXX_ASSERTIONS)
    # Paths are relative, so that a compiler cache serves every checkout.
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
endfunction()
