# LLVM, MLIR and lld 22, and the functions for targets that include their headers.

find_package(MLIR CONFIG QUIET HINTS /usr/lib/llvm-22/lib/cmake/mlir)
if(NOT MLIR_FOUND)
  message(FATAL_ERROR "MLIR 22 was not found: install libmlir-22-dev, mlir-22-tools, llvm-22-dev "
    "and liblld-22-dev, or set MLIR_DIR; -DQOPT_BUILD_COMPILER=OFF builds the runtime alone")
endif()
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "found LLVM ${LLVM_PACKAGE_VERSION}, expected 22")
endif()
find_package(LLD CONFIG REQUIRED HINTS ${LLVM_DIR}/../lld)
find_package(CLI11 REQUIRED)

list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
set(LLVM_RUNTIME_OUTPUT_INTDIR ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
set(LLVM_LIBRARY_OUTPUT_INTDIR ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

separate_arguments(QOPT_LLVM_DEFINITIONS NATIVE_COMMAND ${LLVM_DEFINITIONS})

# What a binary that uses MLIR links: the two shared libraries, or the static ones. Never both.
if(QOPT_STATIC)
  get_property(QOPT_MLIR_DIALECTS GLOBAL PROPERTY MLIR_DIALECT_LIBS)
  set(QOPT_MLIR_LIBS MLIROptLib MLIRFuncDialect MLIRArithDialect MLIRMathDialect MLIRSCFDialect
    MLIRVectorDialect MLIRMemRefDialect MLIRLLVMDialect MLIRSCFToControlFlow MLIRVectorToLLVMPass
    MLIRArithToLLVM MLIRMathToLLVM MLIRControlFlowToLLVM MLIRFuncToLLVM MLIRReconcileUnrealizedCasts
    MLIRBuiltinToLLVMIRTranslation MLIRLLVMToLLVMIRTranslation MLIRTargetLLVMIRExport
    MLIRTransforms MLIRParser MLIRPass)
  llvm_map_components_to_libnames(QOPT_LLVM_LIBS core support target targetparser passes ipo X86 AArch64 irreader
    bitwriter linker frontendopenmp mcparser lto dtlto option object)
  # The packaged static libraries of MLIR and lld say that they need libLLVM.so, and LLVM's that
  # they need Polly, which is not packaged.
  get_property(libraries GLOBAL PROPERTY MLIR_ALL_LIBS)
  foreach(library ${libraries} ${LLD_EXPORTED_TARGETS} LLVMExtensions)
    get_target_property(needs ${library} INTERFACE_LINK_LIBRARIES)
    if(needs)
      list(REMOVE_ITEM needs LLVM Polly)
      set_target_properties(${library} PROPERTIES INTERFACE_LINK_LIBRARIES "${needs}")
    endif()
  endforeach()
else()
  set(QOPT_MLIR_LIBS MLIR)
  set(QOPT_LLVM_LIBS LLVM)
endif()

if(QOPT_USE_PCH)
  add_library(QOptPCH STATIC ${PROJECT_SOURCE_DIR}/cmake/PCH.cpp)
  qopt_target_defaults(QOptPCH)
  target_include_directories(QOptPCH SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_compile_definitions(QOptPCH PUBLIC ${QOPT_LLVM_DEFINITIONS})
  target_compile_options(QOptPCH PUBLIC "SHELL:-Xclang -fno-pch-timestamp" -fpch-instantiate-templates)
  target_precompile_headers(QOptPCH PRIVATE ${PROJECT_SOURCE_DIR}/cmake/PCH.h)
endif()

function(qopt_compiler_defaults target)
  target_include_directories(${target} SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  if(QOPT_USE_PCH)
    # -fPIC for executables too: the header was precompiled so.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp" -fpch-instantiate-templates -fPIC)
    target_compile_definitions(${target} PRIVATE ${QOPT_LLVM_DEFINITIONS})
    target_precompile_headers(${target} REUSE_FROM QOptPCH)
  else()
    target_compile_definitions(${target} PRIVATE ${QOPT_LLVM_DEFINITIONS})
  endif()
endfunction()

# qopt_add_compiler_library(NAME SOURCES... [LINK targets...] [DEPENDS tablegen targets...])
function(qopt_add_compiler_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  qopt_compiler_defaults(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  add_dependencies(${name} QOptIncGen ${ARG_DEPENDS})
endfunction()

# qopt_add_compiler_executable(NAME SOURCES... [LINK targets...]): links MLIR and LLVM once, last.
function(qopt_add_compiler_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  qopt_target_defaults(${name})
  qopt_compiler_defaults(${name})
  add_dependencies(${name} QOptIncGen)
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ${QOPT_MLIR_LIBS} ${QOPT_LLVM_LIBS})
  target_link_options(${name} PRIVATE -fuse-ld=lld -Wl,--gc-sections)
  if(QOPT_SANITIZE)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/SanitizerDefaults.cpp)
  endif()
  if(QOPT_STATIC)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/StaticLLVM.cpp)
  endif()
endfunction()

# qopt_add_compiler_unittest(NAME SOURCES... [LINK targets...])
function(qopt_add_compiler_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  qopt_add_compiler_executable(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE QOPT_TEST_DIR="${PROJECT_SOURCE_DIR}/test")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY QOPT_UNITTESTS ${name})
endfunction()
