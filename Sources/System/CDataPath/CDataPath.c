#include "CDataPath.h"
