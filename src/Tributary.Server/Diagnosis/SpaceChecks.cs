using Npgsql;
using Tributary.Contracts;
using Tributary.Postgres;

namespace Tributary.Server.Diagnosis;

/// <summary>Whether the first copy of production has room, which is better known before hours of copying than after.</summary>
static class SpaceChecks
{
    const string Name = "room for main";

    /// <summary>What main needs beside production's own bytes: the log that arrives while it is copied, and what branch creation keeps free.</summary>
    const long MarginBytes = 128L << 20;

    /// <summary>Nothing to say without a main that follows production, when main is here already, and when production does not tell its size.</summary>
    public static async Task<IReadOnlyList<DoctorCheck>> RunAsync(TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        if (!configuration.FollowsProduction || configuration.HasCatalog || await ProductionBytesAsync(configuration.Production, cancellationToken) is not { } production)
            return [];
        return [Judge(configuration, production, PlaceOf(configuration) is { } place ? MachineChecks.FreeBytes(place) : long.MaxValue)];
    }

    /// <param name="production">Production's bytes.</param>
    /// <param name="free">Bytes that are free where the pool is.</param>
    public static DoctorCheck Judge(TributaryConfiguration configuration, long production, long free)
    {
        var needed = production + MarginBytes;
        var branching = configuration.Branching!;
        var detail = $"production takes {Megabytes(production)}, so main needs {Megabytes(needed)}";
        if (PlaceOf(configuration) is not { } place)
            return new DoctorCheck(Name, CheckOutcome.Ok, $"{detail} in the dataset {branching.PoolPath}");
        if (free < needed)
            return new DoctorCheck(Name, CheckOutcome.Failed, $"{detail}; the disk of {place} has {Megabytes(free)} free", "free some, or put the state folder on a larger disk with --state or 'state:', or the pool with 'branching.pool'");
        if (branching.PoolPath is not null)
            return new DoctorCheck(Name, CheckOutcome.Ok, $"{detail}; {Megabytes(free)} are free");
        return branching.PoolBytesMax < needed
            ? new DoctorCheck(Name, CheckOutcome.Failed, $"{detail}; the pool is limited to {Megabytes(branching.PoolBytesMax)}", "raise 'branching.pool-size'")
            : new DoctorCheck(Name, CheckOutcome.Ok, $"{detail}; {Megabytes(Math.Min(free, branching.PoolBytesMax))} are free");
    }

    // Where main will lie; null for a dataset, which has no path before it is made.
    static string? PlaceOf(TributaryConfiguration configuration) =>
        (configuration.Branching!.PoolPath ?? configuration.StateDirectory) is ['/', ..] place ? place : null;

    /// <summary>The size of all databases that the role may enter; null when production does not tell it in time.</summary>
    public static async Task<long?> ProductionBytesAsync(PostgresUrl source, CancellationToken cancellationToken)
    {
        await using var data = new NpgsqlSlimDataSourceBuilder(source.ToNpgsql() + ";Timeout=10;Command Timeout=30;Pooling=false").EnableTransportSecurity().Build();
        try
        {
            await using var command = data.CreateCommand("SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')");
            return await command.ExecuteScalarAsync(cancellationToken) as long?;
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            // A database of very many files takes long to add up; the copy then finds out by itself.
            return null;
        }
    }

    static string Megabytes(long bytes) => bytes >= 10_000_000_000 ? $"{bytes / 1e9:0.0} GB" : $"{bytes / 1e6:0} MB";
}
