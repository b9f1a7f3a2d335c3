import Vocabulary

/// How content travels between files and the store.
package struct TransferMode: Hashable, Sendable {
    package enum Form: String, Hashable, Sendable {
        /// Parts are compressed while others travel.
        case overlapped
        /// All of a file is compressed into another one first, then that is uploaded: the paper's way, for comparison.
        case sequential
    }
    package var form: Form
    /// Parts in flight at once. A store's answer may take as long as a part's way: an HDFS of 2.7 lets every second file wait 0.4 s to be closed.
    package var parallel: Int
    /// Long runs of zeros are left out of what is stored, before any codec, and parts that are all zero are not stored.
    package var leavesOutZeros: Bool
    /// Parts of which a sample hardly becomes smaller are stored as they are.
    package var triesBefore: Bool
    /// Of gzip and zstd; 0 makes gzip's format without compression.
    package var level: Int32
    /// Uploads give way to guests, on processors and disks.
    package var isInBackground: Bool

    package init(
        form: Form = .overlapped, parallel: Int = 5, leavesOutZeros: Bool = true, triesBefore: Bool = true, level: Int32 = 1,
        isInBackground: Bool = true
    ) {
        self.form = form
        self.parallel = parallel
        self.leavesOutZeros = leavesOutZeros
        self.triesBefore = triesBefore
        self.level = level
        self.isInBackground = isInBackground
    }
}
