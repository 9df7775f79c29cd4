# Installs the build into an empty folder, then builds and runs somebody else's program against it:
# once by find_package, once by pkg-config and the bare compiler.
#
#   cmake -DBUILD=build/release -DCONSUMER=tests/install/consumer -DCOMPILER=g++ -DLIBDIR=lib -P install_test.cmake
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND mktemp -d OUTPUT_VARIABLE scratch OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set(expected "7\n14\n21\n28\n35\n")
unset(ENV{ACHILLES_BROKER})
unset(ENV{ACHILLES_ACCESS})
set(ENV{XDG_CONFIG_HOME} ${scratch}/config)
unset(ENV{DESTDIR})

function(finish problem)
  file(REMOVE_RECURSE ${scratch})
  if(problem)
    message(FATAL_ERROR "${problem}")
  endif()
endfunction()

# run(NAME COMMAND...): its output in ${NAME}; the test fails if it does.
function(run name)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors
                  TIMEOUT 240)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    finish("${command}\nfailed (${result}):\n${output}${errors}")
  endif()
  set(${name} "${output}" PARENT_SCOPE)
endfunction()

function(expect_products name output)
  if(NOT output STREQUAL expected)
    finish("the consumer built by ${name} printed:\n${output}\ninstead of:\n${expected}")
  endif()
  message(STATUS "the consumer built by ${name} works")
endfunction()

run(ignored ${CMAKE_COMMAND} --install ${BUILD} --prefix ${scratch}/installed)
# Moved, so that no path may point to where it was installed first.
file(RENAME ${scratch}/installed ${scratch}/prefix)
# Away from the source tree, so that no header is found there by accident.
file(COPY ${CONSUMER}/ DESTINATION ${scratch}/consumer)

run(ignored ${CMAKE_COMMAND} -G Ninja -S ${scratch}/consumer -B ${scratch}/build
    -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${scratch}/prefix -DCMAKE_BUILD_TYPE=Release)
run(ignored ${CMAKE_COMMAND} --build ${scratch}/build)
run(output ${scratch}/build/consumer)
expect_products(find_package "${output}")

set(ENV{PKG_CONFIG_PATH} ${scratch}/prefix/${LIBDIR}/pkgconfig)
foreach(mode "" "--static")
  run(flags pkg-config ${mode} --cflags --libs achilles)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(ignored ${COMPILER} -std=c++20 -O1 ${scratch}/consumer/consumer.cpp -o ${scratch}/by_hand ${flags})
  run(output ${scratch}/by_hand)
  expect_products("pkg-config ${mode}" "${output}")
endforeach()

# Deliberate faults are for tests alone.
file(GLOB_RECURSE installed ${scratch}/prefix/*)
foreach(file ${installed})
  file(STRINGS ${file} mutants REGEX "[Mm]utant" LIMIT_COUNT 1)
  if(mutants)
    finish("${file} speaks of mutants: ${mutants}")
  endif()
endforeach()

foreach(program achilles-broker achilles-worker achilles)
  run(output ${scratch}/prefix/bin/${program} --version)
  if(NOT output MATCHES "0\\.1\\.0")
    finish("${program} --version printed: ${output}")
  endif()
endforeach()
finish("")
