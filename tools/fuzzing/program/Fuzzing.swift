#if KARVAN_FUZZING
    import CFuzzer
    import Foundation
    import FuzzTargets

    /// libFuzzer's loop over one target.
    enum Fuzzing {
        /// - Returns: the status to exit with, where libFuzzer doesn't exit by itself.
        static func run(_ target: any FuzzTarget) -> Int32 {
            let program = CommandLine.arguments[0]
            let limits = [
                "-max_len=\(target.inputLimit)", "-malloc_limit_mb=\(target.allocationLimit)",
            ]
            // Of a flag that comes twice the last one counts.
            var arguments = ([program] + limits + CommandLine.arguments.dropFirst())
                .map { strdup($0) }
            arguments.append(nil)
            var count = Int32(arguments.count - 1)
            return arguments.withUnsafeMutableBufferPointer { buffer in
                var start = buffer.baseAddress
                return LLVMFuzzerRunDriver(&count, &start) { bytes, count in
                    Fuzzing.offer(Array(UnsafeBufferPointer(start: bytes, count: count)))
                    return 0
                }
            }
        }

        private static func offer(_ bytes: [UInt8]) {
            do throws(Violation) {
                _ = try Choice.target?.offer(bytes)
            } catch {
                fatalError("\(error)")
            }
        }
    }
#endif
