#define FR_ISA x86_v4
#define FR_VEC "../vec/avx512.h"
#include "target.h"
