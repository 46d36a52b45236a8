/// What went wrong in a replica, and what to do. Whatever was under way has been rolled back.
public enum StoreError: Error, Sendable {
    /// Another process writes, and did not let go in time.
    case held(path: String, holder: LockHolder, waitedMilliseconds: Int64)
    case missing(path: String)
    case exists(path: String)
    /// The file is no SQLite database, or one that Karvan did not make.
    case notAReplica(path: String, detail: String)
    /// Made by a newer build.
    case newer(path: String, layout: Int64)
    /// Made by a build of format 0, which was for trying out.
    case trial(path: String)
    /// Laid out for a newer version of the schema than this build declares.
    case newerSchema(path: String, version: UInt64, known: UInt64)
    /// Declares another team's tables.
    case otherSchema(path: String, schema: String)
    case readOnly(path: String, detail: String)
    case full(path: String)
    case damaged(path: String, detail: String)
    /// Another file was put in its place, or it was deleted, while this program had it open.
    case replaced(path: String)
    /// Any other error of the disk or of SQLite, by its extended result code.
    case disk(path: String, code: Int32, detail: String)
    /// The device's key file is missing or is not one.
    case key(path: String, detail: String)
    /// A write that breaks a rule of the schema or of the protocol.
    case invalid(String)
    /// A write that this device's certificates don't allow.
    case denied(String)
    /// What was shown is no longer what stands: nothing was written.
    case stale(String)

    public var explanation: String {
        switch self {
        case .held(let path, let holder, let waited):
            "\(path) is in use by \(holder); waited \(waited) ms. "
                + "Wait until it is done, or end it, then try again"
        case .missing(let path):
            "\(path): there is no such file. Make a replica with `karvan init --name NAME`, or "
                + "name another one with --replica"
        case .exists(let path): "\(path) exists already. Name another file, or use this one"
        case .notAReplica(let path, let detail):
            "\(path) is not a Karvan replica (\(detail)). Name another file with --replica"
        case .newer(let path, let layout):
            "\(path) was written by a newer Karvan (layout \(layout); this one knows "
                + "\(Layout.version)). Update this program"
        case .trial(let path):
            "\(path) was made by a trial build (format 0), and this one reads format 1 and later. "
                + "The build that made it still opens it; make a new one with `karvan init`"
        case .newerSchema(let path, let version, let known):
            "\(path) has the tables of a newer Karvan (schema \(version); this one knows \(known)). "
                + "Update this program"
        case .otherSchema(let path, let schema):
            "\(path) holds the records of another schema (\(schema))"
        case .readOnly(let path, let detail):
            "\(path) can't be written (\(detail)). Check who owns it, and that its disk is not "
                + "mounted read-only"
        case .full(let path):
            "the disk that holds \(path) is full. Nothing was written; free some room, then try "
                + "again"
        case .damaged(let path, let detail):
            "\(path) is damaged (\(detail)). Nothing was written; see what else is with `karvan "
                + "verify`, and mend it with `karvan repair`"
        case .replaced(let path):
            "\(path) was moved, deleted or replaced while this program had it open. Nothing was "
                + "written; see that the right file lies there, and start again"
        case .disk(let path, let code, let detail):
            "\(path): \(detail) (SQLite error \(code)). "
                + (code & 0xff == 10
                    ? "The disk failed: whether the last change was kept is not certain, all before "
                        + "it was. Look at the record before you repeat the change"
                    : "Nothing was written")
        case .key(let path, let detail):
            "the device's key in \(path) can't be used (\(detail)). Put it back beside the replica"
        case .invalid(let detail), .denied(let detail): detail
        case .stale(let detail): detail
        }
    }
}
