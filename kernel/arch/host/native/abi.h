// On arch `host` the layouts are those of x86_64, whose processes the tests are.
#pragma once

#include "../../x86_64/native/abi.h"
