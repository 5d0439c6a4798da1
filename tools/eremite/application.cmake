# Included after project() of an application that ./eremite builds: debugging information, so that a crash is reported by
# file and line; and each program's link also writes a map, and keeps its relocations, from which `./eremite inspect` tells
# what is in the image and why. None of these is loaded.
add_compile_options(-g)
foreach(language C CXX)
  string(APPEND CMAKE_${language}_LINK_EXECUTABLE " -Wl,-Map=<TARGET>.map -Wl,--emit-relocs")
endforeach()
