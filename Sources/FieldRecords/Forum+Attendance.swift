internal import RecordSchema

extension Forum {
    /// Where `merged_into` leads, followed to its end: one row (person, canonical) for each person
    /// that was merged into another one.
    ///
    /// Two laptops may merge two people into each other. Those form a ring, and the least id on it
    /// stands for all of them: the same on every laptop, and undone with either merge. A merge
    /// into a person that isn't there leads nowhere and waits.
    static let personIdentity = Schema.View(
        "person_identity",
        """
        WITH RECURSIVE
          merge(source, target) AS (
            SELECT a.id, b.id FROM person a JOIN person b ON b.id = a.merged_into
            WHERE a.merged_into <> a.id
          ),
          path(person, reached) AS (
            SELECT source, target FROM merge
            UNION
            SELECT path.person, merge.target FROM path JOIN merge ON merge.source = path.reached
          )
        SELECT p.person,
          coalesce(
            max(CASE WHEN p.reached NOT IN (SELECT source FROM merge) THEN p.reached END),
            min(CASE WHEN EXISTS (
              SELECT 1 FROM path ring WHERE ring.person = p.reached AND ring.reached = p.reached
            ) THEN p.reached END)
          ) AS canonical
        FROM path p GROUP BY p.person
        """)

    /// One row for each (item, person) that has observations: what the field says of attendance.
    ///
    /// - A *void* removes the one observation that it names, says nothing itself, and isn't
    ///   voided in turn: whoever undid by mistake records anew.
    /// - An observation that a later one has in `seen` *gives way* to it, as long as the later one
    ///   isn't voided. What doesn't give way is *standing*.
    /// - Whoever left was present: `out` confirms an `in` that it makes give way, and so does a
    ///   second `in`. Only `absent` and `excused` deny what they saw. So `first_in` is the least
    ///   claimed time of all `in` that are neither voided nor denied, and `last_out` the greatest
    ///   of all such `out`: otherwise who went home would have no arrival.
    /// - `state` is `in` or `out` if one of those stands, and between the two the later claimed
    ///   time says which, with `in` for a tie; then `excused`; then `absent`. It is null when all
    ///   is voided.
    /// - `class` is 2 where a standing `in` or `out` meets a standing `excused`, 1 where it meets a
    ///   standing `absent`, else 0. Leaving counts like arriving here: an `out` of one who saw the
    ///   `in` must not silence a conflict that the `in` had.
    /// - `observations` counts all that aren't voids, `standing` those that stand.
    ///
    /// Observations of a merged person count for the one they were merged into; giving way is only
    /// among the observations of one item and one person, so that an unmerge restores both.
    ///
    /// `seen` is cut into ids rather than searched: a search stops at its first hit, which may lie
    /// across two ids. Some 30,000 observations take 0.3 s in all, 15 ms for one item.
    static let attendance = Schema.View(
        "attendance",
        """
        \(standingClauses(of: "observation")),
          tallied AS (
            SELECT item, person,
              count(*) AS observations,
              count(*) FILTER (WHERE stands) AS standing,
              max(claimed_or_least) FILTER (WHERE kind = 'in' AND stands) AS standing_in,
              max(claimed_or_least) FILTER (WHERE kind = 'out' AND stands) AS standing_out,
              count(*) FILTER (WHERE kind = 'absent' AND stands) AS standing_absent,
              count(*) FILTER (WHERE kind = 'excused' AND stands) AS standing_excused,
              min(claimed_at) FILTER (WHERE kind = 'in' AND holds) AS first_in,
              max(claimed_at) FILTER (WHERE kind = 'out' AND holds) AS last_out
            FROM fact GROUP BY item, person
          )
        SELECT item, person,
          CASE
            WHEN standing_out > standing_in OR standing_in IS NULL AND standing_out IS NOT NULL
              THEN 'out'
            WHEN standing_in IS NOT NULL THEN 'in'
            WHEN standing_excused THEN 'excused'
            WHEN standing_absent THEN 'absent'
          END AS state,
          first_in, last_out, observations, standing,
          CASE
            WHEN coalesce(standing_in, standing_out) IS NULL THEN 0
            WHEN standing_excused THEN 2
            WHEN standing_absent THEN 1
            ELSE 0
          END AS class
        FROM tallied
        """)

    /// The clauses that tell which observations stand; ``attendance`` says what that means.
    ///
    /// - Parameter source: what takes part, a table of the form of `observation`: all observations
    ///   of each (item, person) or none, else one gives way to what isn't looked at.
    static func standingClauses(of source: String) -> String {
        """
        WITH RECURSIVE
          identity AS MATERIALIZED (SELECT person, canonical FROM person_identity),
          sight(id, rest, item, person, denies) AS (
            SELECT substr(o.seen, 1, 16), substr(o.seen, 17), o.item,
              coalesce(i.canonical, o.person), o.kind IN ('absent', 'excused')
            FROM \(source) o LEFT JOIN identity i ON i.person = o.person
            WHERE length(o.seen) >= 16 AND o.kind <> 'void' AND NOT EXISTS (
              SELECT 1 FROM observation v WHERE v.voids = o.id AND v.kind = 'void'
            )
            UNION ALL
            SELECT substr(rest, 1, 16), substr(rest, 17), item, person, denies
            FROM sight WHERE length(rest) >= 16
          ),
          superseded AS MATERIALIZED (
            SELECT id, item, person, max(denies) AS denied FROM sight GROUP BY id, item, person
          ),
          statement AS (
            SELECT o.id, o.item, coalesce(i.canonical, o.person) AS person, o.kind, o.claimed_at,
              EXISTS (
                SELECT 1 FROM observation v WHERE v.voids = o.id AND v.kind = 'void'
              ) AS voided
            FROM \(source) o LEFT JOIN identity i ON i.person = o.person
            WHERE o.kind <> 'void' AND o.item IS NOT NULL AND o.person IS NOT NULL
          ),
          fact AS (
            SELECT s.id, s.item, s.person, s.kind, s.claimed_at,
              coalesce(s.claimed_at, -9223372036854775808) AS claimed_or_least,
              g.id IS NULL AND NOT s.voided AS stands,
              NOT coalesce(g.denied, 0) AND NOT s.voided AS holds
            FROM statement s
            LEFT JOIN superseded g ON g.id = s.id AND g.item = s.item AND g.person = s.person
          )
        """
    }

    /// How attendance stands, one row for each item: of the people `expected`, who is there, was
    /// there, isn't there, and of how many nothing is `unknown`.
    ///
    /// Everyone who wasn't merged into another person is expected. Someone observed without a row
    /// of their own, such as a person deleted since, is counted by what was observed and is not
    /// among the expected.
    static let attendanceSummary = Schema.View(
        "attendance_summary",
        """
        WITH
          expected AS MATERIALIZED (
            SELECT id FROM person EXCEPT SELECT person FROM person_identity
            WHERE canonical <> person
          ),
          stated AS MATERIALIZED (
            SELECT item,
              count(*) FILTER (WHERE state = 'in') AS is_in,
              count(*) FILTER (WHERE state = 'out') AS is_out,
              count(*) FILTER (WHERE state = 'absent') AS is_absent,
              count(*) FILTER (WHERE state = 'excused') AS is_excused,
              count(*) FILTER (WHERE state IS NOT NULL AND person IN expected) AS known
            FROM attendance GROUP BY item
          )
        SELECT item.id AS item,
          (SELECT count(*) FROM expected) AS expected,
          coalesce(s.is_in, 0) AS "in",
          coalesce(s.is_out, 0) AS out,
          coalesce(s.is_absent, 0) AS absent,
          coalesce(s.is_excused, 0) AS excused,
          (SELECT count(*) FROM expected) - coalesce(s.known, 0) AS unknown
        FROM item LEFT JOIN stated s ON s.item = item.id
        """)
}
