using System.Globalization;
using System.Text.RegularExpressions;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Following;

/// <summary>
/// Takes the first copy of production by <c>pg_basebackup</c> and makes a standby of it: exact, with nothing installed on production.
/// Source: https://www.postgresql.org/docs/current/app-pgbasebackup.html
/// </summary>
internal sealed partial class BaseBackup(PostgresInstallation installation, BranchingOptions options, BackupRoom room)
{
    /// <summary>What a server of its own makes in a data directory (https://www.postgresql.org/docs/current/storage-file-layout.html), less what starts it as something else.</summary>
    static readonly HashSet<string> PostgresOwn = new(StringComparer.Ordinal)
    {
        "PG_VERSION", "base", "global", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_multixact", "pg_notify", "pg_replslot", "pg_serial",
        "pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal", "pg_xact", "backup_label", "tablespace_map",
    };

    /// <summary>What the C library calls ENOSPC; programs of Postgres add it to what they could not do.</summary>
    const string NoSpace = "No space left on device";

    /// <summary>Copies production into an empty volume, together with a slot that keeps the log from here on.</summary>
    /// <param name="onPercent">Called with the progress in percent.</param>
    /// <exception cref="BranchingException">The pool has no room for it.</exception>
    /// <exception cref="ChildProcessException">The copy failed; the message holds the program's last words.</exception>
    public async Task TakeAsync(string dataDirectory, Action<double> onPercent, CancellationToken cancellationToken)
    {
        await room.LookAsync(cancellationToken);
        using var copying = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var spec = new ChildProcessSpec(installation.Program("pg_basebackup"),
        [
            "--pgdata", dataDirectory, "--wal-method=stream", "--create-slot", "--slot", options.SlotName, "--checkpoint=fast",
            "--progress", "--no-manifest", "--no-password",
        ])
        {
            AsPostgresUser = true,
            Environment = options.Production.ToEnvironment(),
            OnErrorText = text =>
            {
                if (room.IsExceededBy(text))
                    copying.Cancel();
                if (Percent().Matches(text) is [.., var last] && double.TryParse(last.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out var percent))
                    onPercent(percent);
            },
        };
        try
        {
            var result = await ChildProcesses.RunAsync(spec, copying.Token);
            if (result.StandardError.Contains(NoSpace, StringComparison.Ordinal))
                throw room.Exceeded();
            result.EnsureSucceeded($"The base backup of {options.Production}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw room.Exceeded();
        }

        MakeStandby(dataDirectory);
    }

    /// <summary>The lines by which a standby finds production. The password lies in a file beside the configuration, never in the pool.</summary>
    /// <param name="passFile">Where <see cref="WritePassFileAsync"/> writes.</param>
    public IReadOnlyList<string> StandbySettings(string passFile)
    {
        var source = options.Production;
        var connection = string.Join(' ',
        [
            $"host={ConnectionValue(source.Host)}", $"port={source.Port}", $"user={ConnectionValue(source.User)}", $"sslmode={source.SslMode}",
            $"passfile={ConnectionValue(passFile)}", "application_name=tributary_main",
            .. source.SslRootCert is { } root ? [$"sslrootcert={ConnectionValue(root)}"] : Array.Empty<string>(),
        ]);
        return
        [
            $"primary_conninfo = {SettingValue(connection)}",
            $"primary_slot_name = {SettingValue(options.SlotName)}",
            "hot_standby = on",
            // A query on main never cancels, and is never cancelled for long: main serves only our own short ones.
            "max_standby_streaming_delay = 5s",
            // The position that production sees is fresh to a second.
            "wal_receiver_status_interval = 1s",
        ];
    }

    public async Task WritePassFileAsync(string passFile, CancellationToken cancellationToken)
    {
        var password = (options.Production.Password ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace(":", "\\:", StringComparison.Ordinal);
        await using (var file = new FileStream(passFile, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            await file.WriteAsync(System.Text.Encoding.UTF8.GetBytes($"*:*:*:*:{password}\n"), cancellationToken);
        }

        PostgresUser.Own(passFile);
    }

    // Production's own settings stay behind: archiving or a primary_conninfo would act in the copy. So does whatever people keep in a data
    // directory beside Postgres's own files, keys, included settings and server logs: it would be there to read for whoever is superuser
    // in a branch.
    static void MakeStandby(string dataDirectory)
    {
        foreach (var entry in new DirectoryInfo(dataDirectory).EnumerateFileSystemInfos().Where(entry => !PostgresOwn.Contains(entry.Name)))
        {
            if (entry is DirectoryInfo { LinkTarget: null } directory)
                directory.Delete(recursive: true);
            else
                entry.Delete();
        }

        MainServer.EmptyConfiguration(dataDirectory, "standby.signal");
    }

    static string ConnectionValue(string value) =>
        $"'{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";

    static string SettingValue(string value) =>
        $"'{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"\((\d+)%\)")]
    private static partial Regex Percent();
}
