import Foundation
import FoundationXML
import Ports
import Vocabulary

/// Domain definitions: ours, and those out of a save image.
enum DomainXML {
    /// Disks, as the guest's ramdisk expects them: base first, then delta.
    static let baseTarget = "vda"
    static let deltaTarget = "vdb"
    /// The same under Xen.
    static let xenBaseTarget = "xvda"
    static let xenDeltaTarget = "xvdb"

    /// A definition for a guest that starts. The CPU model is the plainest, so that the guest can go on anywhere.
    static func definition(_ domain: DomainDescription, acceleration: HypervisorCapabilities.Acceleration) -> String {
        let type = acceleration == .kvm ? "kvm" : "qemu"
        return """
            <domain type='\(type)'>
              <name>\(escaped(domain.name))</name>
              <memory unit='b'>\(domain.memoryBytes.rawValue)</memory>
              <vcpu>\(domain.virtualCPUs)</vcpu>
              <os>
                <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
                \(boot(domain))
              </os>
              <features><acpi/></features>
              <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
              <clock offset='utc'/>
              <on_poweroff>destroy</on_poweroff>
              <on_reboot>destroy</on_reboot>
              <on_crash>destroy</on_crash>
              <devices>
                \(domain.union == .backingFile ? "" : baseDisk(domain))
                <disk type='file' device='disk'>
                  <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>
                  <source file='\(escaped(domain.activeLayer))'/>
                  <target dev='\(deltaTarget)' bus='virtio'/>
                </disk>
                <controller type='usb' model='none'/>
                <serial type='null'><log file='\(escaped(domain.console))' append='on'/><target port='0'/></serial>
                <memballoon model='virtio'/>
              </devices>
            </domain>
            """
    }

    /// A kernel of ours, or the guest's own from its disk.
    private static func boot(_ domain: DomainDescription) -> String {
        guard !domain.kernel.isEmpty else { return "<boot dev='hd'/>" }
        let ramdisk = domain.ramdisk.isEmpty ? "" : "<initrd>\(escaped(domain.ramdisk))</initrd>"
        return "<kernel>\(escaped(domain.kernel))</kernel>\(ramdisk)<cmdline>\(escaped(domain.commandLine()))</cmdline>"
    }

    private static func baseDisk(_ domain: DomainDescription) -> String {
        """
        <disk type='file' device='disk' snapshot='no'>
          <driver name='qemu' type='raw'/>
          <source file='\(escaped(domain.base))'/>
          <target dev='\(baseTarget)' bus='virtio'/>
          <readonly/>
        </disk>
        """
    }

    /// A definition out of a save image, for another place: other files, and no memory of the backing chain.
    ///
    /// A `<backingStore>` that stays makes QEMU open the layers of the time of capture over the ones that are there now: the guest
    /// goes on over a disk that is not its own, and nothing says so. Everything else stays as it is, above all the PCI addresses.
    static func moved(_ definition: String, to domain: DomainDescription, keepingBackingStore: Bool = false) throws(HypervisorError) -> String {
        let document = try parsed(definition, name: domain.name)
        // The elements are only there as long as their document is.
        defer { withExtendedLifetime(document) {} }
        // A save image's definition stands inside its own element in some versions.
        guard let root = document.rootElement(), let top = root.name == "domain" ? root : root.elements(forName: "domain").first else {
            throw .failed(operation: "read the definition", name: domain.name, code: 0, detail: "it holds no domain")
        }
        for os in top.elements(forName: "os") {
            os.elements(forName: "kernel").first?.stringValue = domain.kernel
            os.elements(forName: "initrd").first?.stringValue = domain.ramdisk
        }
        for devices in top.elements(forName: "devices") {
            for disk in devices.elements(forName: "disk") {
                let target = disk.elements(forName: "target").first?.attribute(forName: "dev")?.stringValue
                let file: String? =
                    switch target {
                    case baseTarget, xenBaseTarget: domain.base
                    case deltaTarget, xenDeltaTarget: domain.activeLayer
                    default: nil
                    }
                guard let file, let source = disk.elements(forName: "source").first else {
                    throw .failed(operation: "read the definition", name: domain.name, code: 0, detail: "a disk \(target ?? "?") that is not ours")
                }
                set(source, "file", file)
                if !keepingBackingStore { remove("backingStore", from: disk) }
                remove("mirror", from: disk)
            }
            for device in devices.elements(forName: "serial") + devices.elements(forName: "console") {
                for log in device.elements(forName: "log") { set(log, "file", domain.console) }
            }
        }
        return top.xmlString
    }

    static func parsed(_ definition: String, name: String) throws(HypervisorError) -> XMLDocument {
        // Foundation's parser does not survive a text without anything in it.
        guard definition.contains("<") else { throw .failed(operation: "read the definition", name: name, code: 0, detail: "it is empty") }
        do { return try XMLDocument(xmlString: definition, options: [.nodePreserveWhitespace]) } catch {
            throw .failed(operation: "read the definition", name: name, code: 0, detail: "\(error)")
        }
    }

    private static func set(_ element: XMLElement, _ name: String, _ value: String) {
        element.removeAttribute(forName: name)
        if let attribute = XMLNode.attribute(withName: name, stringValue: value) as? XMLNode { element.addAttribute(attribute) }
    }

    private static func remove(_ name: String, from element: XMLElement) {
        while let child = element.elements(forName: name).first { element.removeChild(at: child.index) }
    }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing("'", with: "&apos;")
            .replacing("\"", with: "&quot;")
    }

    /// Memory into a file (nil: not memory), and the delta onto its next layer, at one instant. The base is not in it: not every guest has one as
    /// a disk, and where it is one, it is read-only, which libvirt leaves out by itself.
    static func snapshot(memory: String?, nextLayer: String) -> String {
        """
        <domainsnapshot>
          \(memory.map { "<memory snapshot='external' file='\(escaped($0))'/>" } ?? "")
          <disks>
            <disk name='\(deltaTarget)' snapshot='external' type='file'>
              <driver type='qcow2'/>
              <source file='\(escaped(nextLayer))'/>
            </disk>
          </disks>
        </domainsnapshot>
        """
    }
}
