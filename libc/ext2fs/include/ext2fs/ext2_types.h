/* Integers of fixed size, as Linux's headers call them. */
#pragma once
#include <stdint.h>
#include <linux/types.h>
#define __force
#ifndef __bitwise
#define __bitwise
#endif
