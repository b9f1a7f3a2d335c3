// The room LibvirtHypervisor.
