/// Every limit of the protocol, with its unit. A reader refuses what is over a limit before it
/// allocates for it; a writer never makes it.
public enum Limits {
    /// The number of the on-disk and wire formats that this build writes.
    public static let format: UInt64 = 1
    /// How much of what others write a build can read: raised with each kind of run, item or word that one
    /// before can't. A file that one with a lower number has written reads the feeds anew.
    public static let reading: Int64 = 1
    /// Keys of maps from here on must be understood: whoever doesn't leaves the whole for a later build.
    public static let criticalKey: UInt64 = 128

    /// One text or blob, in bytes.
    public static let valueBytes = 64 << 10
    /// What is personal and encrypted: one value with the heads of its parts, and the tag, in bytes.
    public static let sealedBytes = valueBytes + 96
    /// One changeset as it lies in a body, in bytes.
    public static let changesetBytes = 256 << 10
    /// Changesets in a run.
    public static let runChangesets = 1_024
    /// A run's body as it is stored and sent, in bytes.
    public static let runStoredBytes = 512 << 10
    /// A run's body when expanded, in bytes.
    public static let runExpandedBytes = 4 << 20
    /// What a writer puts into a run before compression, in bytes: so that even a body that
    /// doesn't compress stays within ``runStoredBytes``.
    public static let runWrittenBytes = runStoredBytes - (4 << 10)
    /// The row items that a writer puts into one run, and into one changeset of many rows: a run is
    /// applied as a whole, and others wait meanwhile.
    public static let runGoalRows = 4_096
    public static let changesetGoalRows = 2_048
    /// Row items in a body that lies by columns: more than ``runWrittenBytes`` hold.
    public static let runRows = 1 << 17
    /// Ops in such a body.
    public static let runOperations = 1 << 18
    /// Dots in such a body.
    public static let runDots = 1 << 19
    /// The texts and blobs of such a body's values, in bytes, each as often as it is referred to.
    public static let runValueBytes = 4 << 20
    /// Earlier runs of its stream that a body may refer to.
    public static let runSources = 16
    /// What these have when expanded, in bytes: a reader may have to expand them all.
    public static let sourceBytes = 8 << 20
    /// A tail up to this is read again when it is sealed, in bytes: what people record by hand, while
    /// reading a whole import twice would cost a third of it.
    public static let sealCheckBytes = 64 << 10
    /// The keys beside a run, in bytes: more than a header has room to tell of.
    public static let keyBytes = 1 << 20
    /// A run's header, in bytes.
    public static let headerBytes = 192 << 10
    /// Deps that a writer puts into a header, so that it stays within ``headerBytes``: each takes up
    /// to 61 bytes.
    public static let runDependencies = 1_024
    /// The runs of one exchange, each way, in bytes; one run goes whatever its size.
    public static let batchBytes = 1 << 20
    /// A whole message, in bytes: a batch, or two of the largest runs, and room for the rest.
    public static let messageBytes = 4 << 20
    /// The head of a bundle, in bytes.
    public static let bundleHeadBytes = 64 << 10
    /// Those who can open one bundle: each takes up to 120 bytes of its head.
    public static let bundleRecipients = 256
    /// The foot of a bundle, in bytes.
    public static let bundleFootBytes = 4 << 10
    /// The largest file that FAT32 takes, in bytes.
    public static let bundleBytes: UInt64 = (4 << 30) - 1
    /// One blob, which lies beside the log, in bytes.
    public static let blobBytes: UInt64 = 32 << 20
    /// The range of a blob that one message carries each way, in bytes.
    public static let blobPartBytes = 256 << 10
    /// The blobs that one message asks about: each takes up to 110 bytes.
    public static let blobAsks = 256
    /// Nested arrays and maps.
    public static let depth = 8
    /// The dots in one `over` or cover.
    public static let dotsPerOperation = 4_096
    /// The name of a device or of a person recording, in bytes.
    public static let nameBytes = 200
    /// A scope's name, in bytes.
    public static let scopeBytes = 64
    /// Scopes of one forum.
    public static let scopes = 256
    /// The number of a stream among those of its device and scope.
    public static let incarnation = UInt64(Int64.max)
    /// The TLS keys that a hub names at once.
    public static let pins = 4
    /// What it says of them, in bytes.
    public static let pinSetBytes = 256
    /// A cut, in bytes.
    public static let cutBytes = valueBytes
    /// The streams that one cut names: each takes up to 119 bytes.
    public static let cutStreams = 450
    /// An erasure with its signature, in bytes.
    public static let erasureBytes = 8 << 10
    /// The rows that one erasure names.
    public static let erasureSubjects = 256
    /// A certificate with its signature, in bytes.
    public static let certificateBytes = 16 << 10
    /// The grants in one certificate.
    public static let grants = 64
    /// The tables that one grant names.
    public static let grantTables = 1_024
}
