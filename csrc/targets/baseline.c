#define FR_ISA baseline
#define FR_VEC "../vec/generic.h"
#include "target.h"
