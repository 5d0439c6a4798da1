# Included after project() of an application that ./eremite builds: each program's link also writes a map, and keeps its
# relocations, from which `./eremite inspect` tells what is in the image and why. Neither is loaded.
foreach(language C CXX)
  string(APPEND CMAKE_${language}_LINK_EXECUTABLE " -Wl,-Map=<TARGET>.map -Wl,--emit-relocs")
endforeach()
