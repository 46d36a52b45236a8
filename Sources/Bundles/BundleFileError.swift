public import SyncProtocol
internal import Glibc

/// Why a bundle's file can't be read or written. Each names the file, and what to do.
public enum BundleFileError: Error, Hashable, Sendable {
    /// The file is there, and no bundle that can be taken.
    case bundle(path: String, BundleError)
    /// Nothing lies there, or it can't be read.
    case unreadable(path: String, String)
    case exists(path: String)
    /// Another process writes there.
    case busy(path: String)
    case full(path: String)
    /// The file system takes no file so large.
    case tooLarge(path: String)
    case unwritable(path: String, String)

    public var explanation: String {
        switch self {
        case .bundle(let path, let error): "\(path): \(error.explanation)"
        case .unreadable(let path, let why):
            "\(path) can't be read (\(why)). Nothing was taken in; is the stick still there?"
        case .exists(let path):
            "\(path) is there already, and is not overwritten: choose another name, or remove it first"
        case .busy(let path):
            "another process is writing \(path): wait for it, or choose another name"
        case .full(let path):
            "there is no room for \(path). Nothing is left there: make room, or take another stick"
        case .tooLarge(let path):
            "\(path) would be larger than this disk lets files be: give --part-size"
        case .unwritable(let path, let why):
            "\(path) can't be written (\(why)); nothing is left there"
        }
    }

    /// The disk, and not what lies on it, is in the way.
    public var isOfDisk: Bool {
        switch self {
        case .full, .tooLarge, .unwritable: true
        case .bundle, .unreadable, .exists, .busy: false
        }
    }

    /// The file is whole, and by or for somebody else.
    public var isOfStranger: Bool {
        guard case .bundle(_, let error) = self else { return false }
        return [.otherRoot, .otherRecipient, .key, .stranger].contains(error.reason)
    }

    /// By `errno`, of a file that is read.
    static func reading(_ path: String) -> Self {
        .unreadable(path: path, String(cString: strerror(errno)))
    }

    /// By `errno`, of a file that is written.
    static func writing(_ path: String) -> Self {
        switch errno {
        case ENOSPC, EDQUOT: .full(path: path)
        case EFBIG: .tooLarge(path: path)
        default: .unwritable(path: path, String(cString: strerror(errno)))
        }
    }
}
