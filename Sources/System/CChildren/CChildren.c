#include "CChildren.h"
