internal import CurlTransport
internal import Foundation
internal import ProgramOutput
internal import ServiceDiscovery
internal import Synchronization

/// Asks all that were found who they are, many at once: anybody can announce anything, and whoever is slow, or isn't there, is to
/// keep nobody from the others.
final class NearbyQuestions: Sendable {
    struct Answer: Sendable {
        var service: FoundService
        /// Where a laptop answered that says of itself that it serves; or why none did.
        var url: Result<String, CommandFailure>
    }

    private static let threadCount = 16
    /// For one question, in seconds.
    private static let patience = 5

    private let services: [FoundService]
    private let limits: TransportLimits
    private let next = Mutex(0)
    private let answers: Mutex<[Int: Answer]> = Mutex([:])

    /// - Parameter timeout: in seconds.
    init(_ services: [FoundService], timeout: Int) {
        self.services = services
        let milliseconds = min(timeout, Self.patience) * 1_000
        limits = TransportLimits(
            connectMilliseconds: milliseconds, silenceMilliseconds: milliseconds)
    }

    /// - Returns: in the order of the services; where somebody stopped it, not all.
    func ask() -> [Answer] {
        let group = DispatchGroup()
        for _ in 0..<min(Self.threadCount, services.count) {
            group.enter()
            Thread.detachNewThread { [self] in
                work()
                group.leave()
            }
        }
        group.wait()
        return answers.withLock { $0 }.sorted { $0.key < $1.key }.map(\.value)
    }

    private func work() {
        while !StopSignal.isStopped {
            let index = next.withLock { next in
                defer { next += 1 }
                return next
            }
            guard index < services.count else { return }
            let answer = Answer(service: services[index], url: url(of: services[index]))
            answers.withLock { $0[index] = answer }
        }
    }

    private func url(of service: FoundService) -> Result<String, CommandFailure> {
        var last = CommandFailure(.unreachable, "it has no address that can be reached from here")
        for endpoint in service.endpoints {
            do {
                let url = "https://" + endpoint
                _ = try CurlPeer.statement(
                    at: url, limits: limits, cancellation: StopSignal.cancellation)
                return .success(url)
            } catch let error {
                last = CommandFailure(describing: error) ?? last
            }
        }
        return .failure(last)
    }
}
