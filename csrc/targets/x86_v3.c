#define FR_ISA x86_v3
#define FR_VEC "../vec/avx2.h"
#include "target.h"
