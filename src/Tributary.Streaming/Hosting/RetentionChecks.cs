using Npgsql;

namespace Tributary.Streaming.Hosting;

/// <summary>What the source keeps for a stream that is slow or stopped, and for how long: its slot, and the settings that end one.</summary>
internal static class RetentionChecks
{
    // Feedback goes out every second, but a source under load may read it late.
    static readonly TimeSpan SenderTimeoutLeast = TimeSpan.FromSeconds(10);

    // Half an hour of a database that writes 1 MB a second, which a restart of the target may well take.
    const long KeepMegabytesLeast = 2048;

    const long DecodingKilobytesLeast = 16 * 1024;

    public static async Task RunAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await CheckSettingsAsync(source, options, findings, cancellationToken);
        await CheckSlotAsync(source, options, findings, cancellationToken);
    }

    static async Task CheckSettingsAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        // pg_settings tells each in its own base unit: megabytes, milliseconds, seconds (Postgres 18 for the idle slots), kilobytes.
        await using var command = new NpgsqlCommand(
            """
            SELECT (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'),
                (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'),
                (SELECT setting::bigint * CASE unit WHEN 'min' THEN 60 ELSE 1 END FROM pg_catalog.pg_settings WHERE name = 'idle_replication_slot_timeout'),
                (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'logical_decoding_work_mem')
            """, source);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        long? Value(int column) => reader.IsDBNull(column) ? null : reader.GetInt64(column);
        void Add(FindingSeverity severity, string problem, string remedy, string sql) =>
            findings.Add(new StreamFinding(severity, $"source {options.Source}", problem, remedy, $"{sql}\nSELECT pg_reload_conf();"));
        switch (Value(0))
        {
            case < 0:
                Add(
                    FindingSeverity.Note, "max_slot_wal_keep_size is unlimited: while the stream is stopped its slot keeps the source's log, until the disk is full",
                    "Bound it by what the disk can spare; a stream that is away for longer then copies anew.", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB';");
                break;
            case < KeepMegabytesLeast and { } megabytes:
                Add(
                    FindingSeverity.Warning, $"max_slot_wal_keep_size is {megabytes} MB: once the source has written that much while the stream is stopped or slow, the slot is lost and all rows are copied anew",
                    "Raise it to what the disk can spare.", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB';");
                break;
        }

        if (Value(1) is > 0 and { } timeout && timeout < SenderTimeoutLeast.TotalMilliseconds)
        {
            Add(
                FindingSeverity.Warning, $"wal_sender_timeout is {timeout} ms: a busy source ends connections that are alive", "Raise it.",
                "ALTER SYSTEM SET wal_sender_timeout = '60s';");
        }

        if (Value(2) is > 0 and { } idle)
        {
            Add(
                FindingSeverity.Warning, $"idle_replication_slot_timeout is {idle} s: a stream that is stopped for longer loses its slot and copies all rows anew",
                "Turn it off, or make it longer than a stream may be stopped.", "ALTER SYSTEM SET idle_replication_slot_timeout = 0;");
        }

        if (Value(3) is < DecodingKilobytesLeast and { } kilobytes)
        {
            Add(
                FindingSeverity.Note, $"logical_decoding_work_mem is {kilobytes} kB: larger transactions go through the source's disk before they are sent", "Raise it if such transactions are frequent.",
                "ALTER SYSTEM SET logical_decoding_work_mem = '64MB';");
        }
    }

    static async Task CheckSlotAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        // Columns that came with 13 and later are read through JSON.
        await using var command = new NpgsqlCommand(
            """
            SELECT s.active_pid, COALESCE(pg_catalog.to_jsonb(s) ->> 'wal_status', ''), COALESCE(s.plugin::text, ''), COALESCE(s.database = current_database(), false),
                COALESCE(pg_catalog.to_jsonb(s) ->> 'conflicting', 'false') = 'true'
            FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1
            """, source)
        { Parameters = { new() { Value = options.SlotName } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return;
        var subject = $"source {options.Source}";
        if (reader.GetString(2) != "pgoutput" || !reader.GetBoolean(3))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the slot {options.SlotName} serves another plugin or another database", "Give the stream another name."));
        }
        else if (reader.GetString(1) == "lost" || reader.GetBoolean(4))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the slot {options.SlotName} has lost log that the stream needs",
                "Take the stream back with 'tributary stream destroy --drop-copied' and start it again; it copies all rows anew."));
        }
        else if (reader.GetString(1) == "unreserved")
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Warning, subject, $"the slot {options.SlotName} needs log that the next checkpoint of the source may remove",
                "Start the stream now, or raise max_slot_wal_keep_size.", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB';\nSELECT pg_reload_conf();"));
        }

        if (!reader.IsDBNull(0))
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Note, subject, $"the slot {options.SlotName} is in use by process {reader.GetInt32(0)}: the stream runs already",
                $"End it before another is started: SELECT pg_terminate_backend({reader.GetInt32(0)}); ends a session whose client is gone."));
        }
    }
}
