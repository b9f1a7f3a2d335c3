/// The paper's own numbers, transcribed.
///
/// Source: Goiri, Julià, Guitart & Torres, "Checkpoint-based fault-tolerant infrastructure for virtualized service providers", NOMS 2010, section IV.
package enum PaperNumbers {
    package static let table1 = DataTable(
        title: "Table I: size of VM disks", rowTitle: "Disk", columns: ["MiB"],
        rows: [
            .init("Configuration file", [0]), .init("Ramdisk", [5.3]), .init("Kernel", [1.6]), .init("Base system", [769]),
            .init("Memory of m (m + 1), m = 256", [257]), .init("User disk of δ (δ + 8), δ = 100", [108]),
        ])
    package static let table2 = DataTable(
        title: "Table II: checkpoint of 1496 MiB, by protocol", rowTitle: "Storage", columns: ["s"],
        rows: [
            .init("HDFS 3 replicas", [53.185]), .init("HDFS 2 replicas", [31.227]), .init("HDFS 1 replica", [16.751]), .init("FTP", [18.636]),
            .init("SFTP", [33.25]), .init("NFS", [26.73]),
        ])
    package static let table3 = DataTable(
        title: "Table III: task execution time", rowTitle: "Infrastructure", columns: ["Time, s", "Difference, s", "Stop time, s"],
        rows: [
            .init("No checkpoint", [3201, 0, nil]), .init("All + FTP", [3307, 106, 107]), .init("All + HDFS", [3312, 110, 113]),
            .init("AUFS + FTP", [3264, 43, 46]), .init("AUFS + HDFS", [3265, 44, 47]),
        ])
    package static let figure9 = DataTable(
        title: "Section IV-D: where 3460 s went", rowTitle: "Part", columns: ["s"],
        rows: [
            .init("Undisturbed on node A", [3220]), .init("Making checkpoints", [60]), .init("From the last checkpoint to the crash", [100]),
            .init("Noticing the crash and resuming on node B", [40]), .init("Node B being slower", [40]), .init("All", [3460]),
        ])
}
