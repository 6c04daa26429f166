using System.Globalization;

namespace Tributary.Branching.Following;

/// <summary>
/// The slot on production that keeps its log for main. A name may lead to another cluster, as after a restore or an upgrade elsewhere: there nothing is
/// made or dropped, since nobody would watch it.
/// </summary>
/// <param name="systemIdentifier">The cluster's that main is of.</param>
internal sealed class ProductionSlot(BranchingOptions options, string systemIdentifier)
{
    /// <summary>A walsender ends when it has written to its reader's socket twice; the next copy drops what is left.</summary>
    static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(10);

    static readonly TimeSpan ReleaseInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>Makes sure that there is none, before main is made.</summary>
    /// <param name="isOurs">An interrupted first copy of ours has left one, which would hold the log for ever; else one is somebody else's.</param>
    /// <exception cref="BranchingException">It is somebody else's.</exception>
    /// <exception cref="Npgsql.NpgsqlException">Production does not answer.</exception>
    public Task ClearAsync(bool isOurs, CancellationToken cancellationToken) => isOurs ? DropAsync(cancellationToken) : RefuseForeignAsync(cancellationToken);

    /// <summary>Drops it, as soon as production has noticed that nobody reads it any more.</summary>
    /// <exception cref="Npgsql.NpgsqlException">Production does not answer.</exception>
    public Task GiveUpAsync(TimeProvider time, CancellationToken cancellationToken) => time.HoldsAsync(async token =>
    {
        await DropAsync(token);
        return !await IsThereAsync(token);
    }, ReleaseInterval, ReleaseLimit, cancellationToken);

    async Task DropAsync(CancellationToken cancellationToken)
    {
        await using var source = options.OpenProduction();
        await using var command = source.CreateCommand(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots, pg_control_system() WHERE slot_name = $1 AND NOT active AND system_identifier::text = $2");
        command.Parameters.AddWithValue(options.SlotName);
        command.Parameters.AddWithValue(systemIdentifier);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // Somebody else's main may follow by it.
    async Task RefuseForeignAsync(CancellationToken cancellationToken)
    {
        if (await IsThereAsync(cancellationToken))
        {
            throw new BranchingException(new BranchError(BranchErrorKind.SourceUnsuitable,
                $"Production already has a replication slot '{options.SlotName}', which this state folder did not make. If nothing uses it, run there: SELECT pg_drop_replication_slot('{options.SlotName}'); else set branching.slot to another name."));
        }
    }

    async Task<bool> IsThereAsync(CancellationToken cancellationToken)
    {
        await using var source = options.OpenProduction();
        await using var command = source.CreateCommand("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)");
        command.Parameters.AddWithValue(options.SlotName);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>Makes a physical slot, which begins at once.</summary>
    public async Task MakePhysicalAsync(CancellationToken cancellationToken)
    {
        await using var source = options.OpenProduction();
        await using var command = source.CreateCommand("SELECT pg_create_physical_replication_slot($1, true) FROM pg_control_system() WHERE system_identifier::text = $2");
        command.Parameters.AddWithValue(options.SlotName);
        command.Parameters.AddWithValue(systemIdentifier);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Looks at it. One that production has given up, or that makes it keep more than the limit, is not waited for.</summary>
    /// <exception cref="BranchingException">Another cluster answers.</exception>
    /// <exception cref="Npgsql.NpgsqlException">Production does not answer.</exception>
    public async Task<SlotLook> LookAsync(CancellationToken cancellationToken)
    {
        await using var source = options.OpenProduction();
        await using var command = source.CreateCommand(
            """
            SELECT s.slot_name IS NOT NULL, to_jsonb(s) ->> 'wal_status',
                   pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)::float8,
                   (SELECT system_identifier::text FROM pg_control_system())
            FROM (VALUES (1)) one LEFT JOIN pg_replication_slots s ON s.slot_name = $1
            """);
        command.Parameters.AddWithValue(options.SlotName);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        await row.ReadAsync(cancellationToken);
        if (row.GetString(3) is var found && found != systemIdentifier)
            throw SourcePosition.OtherCluster(options, found, systemIdentifier);
        if (!row.GetBoolean(0))
            return new SlotLook(Exists: false, null);
        if (!await row.IsDBNullAsync(1, cancellationToken) && row.GetString(1) == "lost")
            return new SlotLook(true, $"production has given up the slot '{options.SlotName}', since it held more log than max_slot_wal_keep_size");
        return new SlotLook(true, !await row.IsDBNullAsync(2, cancellationToken) && row.GetDouble(2) is var held && held > options.SlotBytesMax
            ? string.Create(CultureInfo.InvariantCulture, $"the slot '{options.SlotName}' makes production keep {held / (1 << 20):0} MiB of log, more than branching.slot-bytes-max")
            : null);
    }
}

/// <param name="Over">Why it is of no use any more; null when it is.</param>
internal sealed record SlotLook(bool Exists, string? Over);
