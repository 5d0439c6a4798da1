// The memory of one request to a device, for the device's driver to keep if the answer doesn't come in time.
#pragma once

namespace eremite {

class RequestMemory {
public:
    virtual ~RequestMemory() = default;
    /// Nobody waits any more. The driver owns this from now on, and deletes it when the device, which may read and
    /// write the memory until then, is done with the request; in an interrupt, maybe. Called with the driver's lock
    /// held: must not sleep.
    virtual void on_late() { }
};

} // namespace eremite
