// On arch `host` nothing traps; the layout is that of x86_64, for code that takes one apart.
#pragma once

#include "../../x86_64/native/trap_frame.h"
