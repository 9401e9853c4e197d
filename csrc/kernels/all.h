/* All kernels for one element type; REAL and SUFFIX are defined by the target. */
#include "names.h"

#include "activation.h"
#include "tile.h"
#include "row.h"
#include "gemm.h"
#include "gates.h"
#include "gru.h"
#include "lstm.h"
#include "norm.h"
#include "dropout.h"
#include "optim.h"
#include "probe.h"
#include "rnn.h"
#include "softmax.h"
#include "select.h"
#include "sample.h"
#if SMALL_WEIGHTS
#include "small.h"
#endif
