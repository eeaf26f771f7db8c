// The numbers of kernels, for what runs PTX: names of their own, since some are also those of the C library.
#pragma once
#include "emulator.h"

namespace device {
#include "../../source/tensor.h"
}
