#define FR_ISA neon
#define FR_VEC "../vec/neon.h"
#include "target.h"
