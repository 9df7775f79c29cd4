# Compiler settings, and achilles_box(): one target for each box of the architecture.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  find_program(ACHILLES_CCACHE ccache)
  if(ACHILLES_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ACHILLES_CCACHE})
  endif()
endif()

add_library(achilles_build_options INTERFACE)
target_compile_options(achilles_build_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  # Optimising, these compilers see uninitialised members in every std::variant that is moved and
  # overlaps in every std::string that grows.
  target_compile_options(achilles_build_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(ACHILLES_WERROR)
  target_compile_options(achilles_build_options INTERFACE -Werror)
endif()
if(ACHILLES_SANITIZE)
  add_compile_options(-fsanitize=${ACHILLES_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ACHILLES_SANITIZE})
  if(ACHILLES_SANITIZE STREQUAL thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # It does not see fences. Those here order accesses to a page that two processes share, which
    # it does not see either.
    add_compile_options(-Wno-tsan)
  endif()
endif()

# achilles_box(NAME SOURCES... [ARROWS other boxes...] [LIBRARIES libraries...])
# A static library that may use only the boxes and libraries it names: a wrong arrow does not link.
# Its objects are also collected for libachilles.
function(achilles_box name)
  cmake_parse_arguments(box "" "" "SOURCES;ARROWS;LIBRARIES" ${ARGN})
  add_library(${name}_objects OBJECT ${box_SOURCES})
  target_include_directories(${name}_objects PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_link_libraries(${name}_objects PRIVATE achilles_build_options PUBLIC ${box_LIBRARIES})
  add_library(${name} STATIC $<TARGET_OBJECTS:${name}_objects>)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${box_LIBRARIES} ${box_ARROWS})
  foreach(arrow ${box_ARROWS})
    if(TARGET ${arrow}_objects)
      target_include_directories(${name}_objects PRIVATE
        $<TARGET_PROPERTY:${arrow}_objects,INTERFACE_INCLUDE_DIRECTORIES>)
    endif()
  endforeach()
  if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include)
    target_include_directories(${name}_objects PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>)
    target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)
  endif()
endfunction()

# achilles_test(NAME SOURCES... BOXES...): one Catch2 program, one ctest entry.
function(achilles_test name)
  cmake_parse_arguments(test "" "TIMEOUT" "SOURCES;BOXES;LABELS" ${ARGN})
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 600) # For a machine with much else to do; each takes seconds.
  endif()
  add_executable(${name} ${test_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${test_BOXES} achilles_build_options achilles_test_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "${test_LABELS}")
  if(ACHILLES_SANITIZE STREQUAL thread)
    # Task processes are programs of their own, whose exit status a test may not look at.
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "WARNING: ThreadSanitizer")
  endif()
endfunction()
