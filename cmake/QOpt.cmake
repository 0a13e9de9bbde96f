# The project's target functions. Every library is named QOpt<Folder>, lists its
# sources by hand, and links what it includes.

function(qopt_target_defaults target)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-unused-parameter
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>
    -ffp-contract=off)
  if(QOPT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${QOPT_SANITIZE} -fno-omit-frame-pointer -g1)
    target_link_options(${target} PRIVATE -fsanitize=${QOPT_SANITIZE})
  endif()
endfunction()

# qopt_add_library(NAME SOURCES... [LINK targets...]): C++ without LLVM or MLIR.
function(qopt_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# qopt_add_executable(NAME SOURCES... [LINK targets...])
function(qopt_add_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()

# qopt_add_unittest(NAME SOURCES... [LINK targets...]): a GoogleTest binary
# run by lit's driver and by ctest. TEST_INPUT_DIR is the folder test/.
function(qopt_add_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  qopt_add_executable(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE QOPT_TEST_DIR="${PROJECT_SOURCE_DIR}/test")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY QOPT_UNITTESTS ${name})
endfunction()
