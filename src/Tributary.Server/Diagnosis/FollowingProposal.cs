using Tributary.Contracts;

namespace Tributary.Server.Diagnosis;

/// <summary>Proposes how main follows production. A function of what was found; nothing is asked.</summary>
static class FollowingProposal
{
    /// <summary>Pool images are sparse, so that room for branches costs nothing before it is used: main, and as much again for what branches and seeds write.</summary>
    const int PoolCopies = 2;

    const long Gibibyte = 1L << 30;

    /// <param name="physical">The checks of production, as <see cref="SourceChecks.Judge"/> makes them for a standby.</param>
    /// <param name="logical">The same for a main that production is streamed into.</param>
    public static FollowingProposalResponse Of(ProductionFacts facts, IReadOnlyList<DoctorCheck> physical, IReadOnlyList<DoctorCheck> logical)
    {
        var obstacles = Failed(physical);
        if (obstacles.Count > 0)
        {
            var others = Failed(logical);
            if (others.Count == 0)
                return Logical(facts, obstacles);
            // A service will not let the files be copied, whatever is changed, so its way is the other one.
            var shorter = Service(facts).Any() ? others : obstacles;
            return new FollowingProposalResponse(
                null, [.. Service(facts), .. shorter.Select(obstacle => obstacle.Detail)], [.. shorter.Select(obstacle => obstacle.Fix).OfType<string>().Distinct()]);
        }

        return new FollowingProposalResponse(
            "physical",
            [
                $"PostgreSQL {facts.Major} runs there and is installed here, so that main can be a standby of production",
                $"production writes a log that a standby can replay (wal_level is {facts.WalLevel}), keeps it for one more ({facts.FreeSlots} free slots), and lets the role in for replication",
                "main is then an exact copy of the whole cluster, and nothing but a slot is added to production",
            ],
            []);
    }

    static FollowingProposalResponse Logical(ProductionFacts facts, List<DoctorCheck> obstacles) => new(
        "logical",
        [
            .. Service(facts),
            .. obstacles.Select(obstacle => $"main cannot be a standby: {obstacle.Detail}{(obstacle.Fix is { } fix ? $" (to change that: {fix})" : "")}"),
            $"production lets its changes be read (wal_level is {facts.WalLevel}, {facts.FreeSlots} free slots), so that the rows of one database are copied into a Postgres here and every change follows",
            "owners, grants and other databases stay out; a slot, a publication and, where they are allowed, event triggers are added to production",
        ],
        []);

    static List<DoctorCheck> Failed(IReadOnlyList<DoctorCheck> findings) => [.. findings.Where(finding => finding.Outcome == CheckOutcome.Failed)];

    /// <summary>The first slot name that nothing has on production yet; a slot that another state folder follows by would be taken from it.</summary>
    /// <param name="ownsSlot">This state folder has followed production before, by a slot of the default name.</param>
    public static string SlotName(string preferred, IReadOnlyCollection<string> taken, bool ownsSlot) => ownsSlot || !taken.Contains(preferred)
        ? preferred
        : Enumerable.Range(2, taken.Count).Select(number => $"{preferred}_{number}").First(name => !taken.Contains(name));

    /// <summary>The pool's limit in bytes, a whole number of GiB.</summary>
    /// <param name="least">The limit that small databases get.</param>
    /// <param name="production">Production's bytes; null when it does not tell.</param>
    /// <param name="free">Free bytes on the disk of the pool. A pool that promises more than these ends in errors of the disk, where a full one is a message.</param>
    public static long PoolBytes(long least, long? production, long free)
    {
        var wanted = Math.Max(least, PoolCopies * (production ?? 0));
        return Math.Max(1, Math.Min((wanted + Gibibyte - 1) / Gibibyte, free / Gibibyte)) * Gibibyte;
    }

    // Only what was found counts: a role that nobody but the service makes, and that ours is not its superuser.
    static IEnumerable<string> Service(ProductionFacts facts)
    {
        var service = facts.IsSuperuser ? null : facts.ServiceRoles switch
        {
            [] => null,
            var roles when roles.Contains("rds_superuser") => "Amazon RDS or Aurora (it has the role rds_superuser)",
            var roles when roles.Contains("cloudsqlsuperuser") => "Google Cloud SQL (it has the role cloudsqlsuperuser)",
            var roles when roles.Contains("alloydbsuperuser") => "Google AlloyDB (it has the role alloydbsuperuser)",
            var roles when roles.Contains("azure_pg_admin") => "Azure Database for PostgreSQL (it has the role azure_pg_admin)",
            var roles when roles.Contains("neon_superuser") => "Neon (it has the role neon_superuser)",
            _ => "Supabase (it has the role supabase_admin)",
        };
        if (service is not null)
            yield return $"production looks like {service}, and the role is no superuser there; such services seldom let anyone copy the cluster's files, whatever rights a role has";
    }
}
