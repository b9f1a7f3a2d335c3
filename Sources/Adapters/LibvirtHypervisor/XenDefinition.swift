import Foundation
import FoundationXML
import Ports
import Vocabulary

/// Definitions of domains for libvirt's libxl driver.
extension DomainXML {
    /// A definition for a guest that starts.
    ///
    /// The base is not declared read-only: with QEMU as its backend such a disk does not come up and nothing says so. The guest mounts it read-only.
    static func xenDefinition(_ domain: DomainDescription, as guest: XenGuest) -> String {
        let (machine, type) =
            switch guest {
            case .pv: ("xenpv", "linux")
            case .pvh: ("xenpvh", "xenpvh")
            case .hvm: ("xenfv", "hvm")
            }
        return """
            <domain type='xen'>
              <name>\(escaped(domain.name))</name>
              <memory unit='b'>\(domain.memoryBytes.rawValue)</memory>
              <vcpu>\(domain.virtualCPUs)</vcpu>
              <os>
                <type arch='x86_64' machine='\(machine)'>\(type)</type>
                <kernel>\(escaped(domain.kernel))</kernel>
                <initrd>\(escaped(domain.ramdisk))</initrd>
                <cmdline>\(escaped(domain.commandLine(console: "hvc0")))</cmdline>
              </os>
              <clock offset='utc'/>
              <on_poweroff>destroy</on_poweroff>
              <on_reboot>destroy</on_reboot>
              <on_crash>destroy</on_crash>
              <devices>
                <disk type='file' device='disk'>
                  <driver name='qemu' type='raw'/>
                  <source file='\(escaped(domain.base))'/>
                  <target dev='\(xenBaseTarget)' bus='xen'/>
                </disk>
                <disk type='file' device='disk'>
                  <driver name='qemu' type='qcow2'/>
                  <source file='\(escaped(domain.activeLayer))'/>
                  <target dev='\(xenDeltaTarget)' bus='xen'/>
                </disk>
                <console type='pty'><target type='xen' port='0'/></console>
              </devices>
            </domain>
            """
    }

    /// What a definition says of a Xen guest.
    struct XenDomain {
        var guest: XenGuest
        var kernel: String
        var ramdisk: String
        var base: String
        /// As libvirt knows it: where the delta was when the domain came up.
        var delta: String

        init(_ definition: String, name: String) throws(HypervisorError) {
            func trouble(_ detail: String) -> HypervisorError { .failed(operation: "read the definition", name: name, code: 0, detail: detail) }
            let document = try parsed(definition, name: name)
            // The elements are only there as long as their document is.
            defer { withExtendedLifetime(document) {} }
            guard let top = document.rootElement(), let os = top.elements(forName: "os").first else { throw trouble("it holds no domain") }
            let type = os.elements(forName: "type").first
            guest =
                switch (type?.stringValue, type?.attribute(forName: "machine")?.stringValue) {
                case ("xenpvh", _), (_, "xenpvh"): .pvh
                case ("hvm", _): .hvm
                default: .pv
                }
            func text(_ element: String) -> String { os.elements(forName: element).first?.stringValue ?? "" }
            func file(_ target: String) throws(HypervisorError) -> String {
                for disk in top.elements(forName: "devices").flatMap({ $0.elements(forName: "disk") }) {
                    if disk.elements(forName: "target").first?.attribute(forName: "dev")?.stringValue == target,
                        let file = disk.elements(forName: "source").first?.attribute(forName: "file")?.stringValue
                    {
                        return file
                    }
                }
                throw trouble("it has no disk \(target)")
            }
            kernel = text("kernel")
            ramdisk = text("initrd")
            base = try file(xenBaseTarget)
            delta = try file(xenDeltaTarget)
        }

        func description(_ name: String, layer: String, console: String) -> DomainDescription {
            DomainDescription(
                name: name, memoryBytes: .zero, virtualCPUs: 1, kernel: kernel, ramdisk: ramdisk, base: base, activeLayer: layer, console: console,
                run: "")
        }
    }
}
