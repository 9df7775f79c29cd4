# The libraries achilles builds with, each under one target name.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libzmq REQUIRED IMPORTED_TARGET libzmq)
find_package(cppzmq CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
# msgpack-cxx is headers only, and its CMake package is named differently in each release: look for
# the header itself.
find_path(ACHILLES_MSGPACK_INCLUDE msgpack.hpp)
if(NOT ACHILLES_MSGPACK_INCLUDE)
  message(FATAL_ERROR "msgpack.hpp not found: install libmsgpack-cxx-dev")
endif()
if(ACHILLES_TESTS)
  find_package(Catch2 REQUIRED)
endif()
