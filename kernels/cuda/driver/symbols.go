package driver

// symbol is a function of the driver.
type symbol int

// The functions that are called.
const (
	symInit symbol = iota
	symDriverVersion
	symErrorName
	symErrorString
	symDeviceCount
	symDeviceGet
	symDeviceName
	symDeviceAttribute
	symDeviceMemory
	symPrimaryRetain
	symPrimaryRelease
	symSetCurrent
	symMemoryInfo
	symAlloc
	symFree
	symHostAlloc
	symHostFree
	symToDevice
	symToHost
	symOnDevice
	symSet8
	symModuleLoad
	symModuleUnload
	symFunction
	symFunctionAttribute
	symStreamCreate
	symStreamDestroy
	symStreamSync
	symStreamWait
	symEventCreate
	symEventDestroy
	symEventRecord
	symEventSync
	symEventElapsed
	symLaunch
	symCaptureBegin
	symCaptureEnd
	symGraphInstantiate
	symGraphLaunch
	symGraphDestroy
	symGraphExecDestroy
	symParameter // from here on a driver may lack them
	symbols
)

// names are the symbols of the library, with the version that cuda.h gives
// those that changed.
var names = [symbols]string{
	symInit:              "cuInit",
	symDriverVersion:     "cuDriverGetVersion",
	symErrorName:         "cuGetErrorName",
	symErrorString:       "cuGetErrorString",
	symDeviceCount:       "cuDeviceGetCount",
	symDeviceGet:         "cuDeviceGet",
	symDeviceName:        "cuDeviceGetName",
	symDeviceAttribute:   "cuDeviceGetAttribute",
	symDeviceMemory:      "cuDeviceTotalMem_v2",
	symPrimaryRetain:     "cuDevicePrimaryCtxRetain",
	symPrimaryRelease:    "cuDevicePrimaryCtxRelease_v2",
	symSetCurrent:        "cuCtxSetCurrent",
	symMemoryInfo:        "cuMemGetInfo_v2",
	symAlloc:             "cuMemAlloc_v2",
	symFree:              "cuMemFree_v2",
	symHostAlloc:         "cuMemHostAlloc",
	symHostFree:          "cuMemFreeHost",
	symToDevice:          "cuMemcpyHtoDAsync_v2",
	symToHost:            "cuMemcpyDtoHAsync_v2",
	symOnDevice:          "cuMemcpyDtoDAsync_v2",
	symSet8:              "cuMemsetD8Async",
	symModuleLoad:        "cuModuleLoadDataEx",
	symModuleUnload:      "cuModuleUnload",
	symFunction:          "cuModuleGetFunction",
	symFunctionAttribute: "cuFuncSetAttribute",
	symStreamCreate:      "cuStreamCreate",
	symStreamDestroy:     "cuStreamDestroy_v2",
	symStreamSync:        "cuStreamSynchronize",
	symStreamWait:        "cuStreamWaitEvent",
	symEventCreate:       "cuEventCreate",
	symEventDestroy:      "cuEventDestroy_v2",
	symEventRecord:       "cuEventRecord",
	symEventSync:         "cuEventSynchronize",
	symEventElapsed:      "cuEventElapsedTime",
	symLaunch:            "cuLaunchKernel",
	symCaptureBegin:      "cuStreamBeginCapture_v2",
	symCaptureEnd:        "cuStreamEndCapture",
	symGraphInstantiate:  "cuGraphInstantiateWithFlags",
	symGraphLaunch:       "cuGraphLaunch",
	symGraphDestroy:      "cuGraphDestroy",
	symGraphExecDestroy:  "cuGraphExecDestroy",
	symParameter:         "cuFuncGetParamInfo",
}
