using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Branching.Following;
using Tributary.Branching.Importing;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Brings a dump into a main that follows nothing. Until the last step but one main is what it was, for branches too, and nothing is lost when a
/// step fails.
/// <list type="number">
/// <item>Recognise the dump by what is in it, and find the database's name free, or an empty database of it.</item>
/// <item>Make sure that a seed holds what main has now: it is main's present while the import goes on.</item>
/// <item>Make the roles that the dump names, when that is wanted.</item>
/// <item>Restore into a database of another name, and analyze it.</item>
/// <item>Give it its name, in one transaction that takes the name from the empty one.</item>
/// <item>Make a seed of it.</item>
/// </list>
/// </summary>
/// <param name="freeBytes">What the pool has free.</param>
/// <param name="flush">Writes what the pool has in memory.</param>
internal sealed class MainImport(OwnMain main, MainSeeds seeds, Func<long> freeBytes, Func<CancellationToken, Task> flush, TimeProvider time, ILogger logger)
{
    const int IdentifierBytesMax = 63;

    static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>What a fast disk takes within this is less than what is kept back.</summary>
    static readonly TimeSpan SpaceInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>A main that has just ended on a full disk, or is started, answers sooner.</summary>
    static readonly TimeSpan AnswerLimit = TimeSpan.FromMinutes(1);

    static readonly BranchError NoSpace = new(
        BranchErrorKind.PoolFull,
        $"The pool has less than {BranchRegistry.FreeBytesMin >> 20} MiB free, which are kept back for running branches, so the import was ended. Main is as it was. Delete branches, or enlarge branching.pool-size.");

    /// <summary>1 while one is at work.</summary>
    int _atWork;

    public async Task<BranchResult<ImportReport>> RunAsync(ImportRequest request, Action<ImportProgress> onProgress, CancellationToken cancellationToken)
    {
        // Step 1: recognise the dump.
        var recognised = DumpFile.Recognise(request.File);
        if (recognised.Value is not { } dump)
            return recognised.Error!;
        var database = request.Database ?? main.Database;
        if (database.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(database) > IdentifierBytesMax || database.Contains('\0', StringComparison.Ordinal))
            return new BranchError(BranchErrorKind.InvalidRequest, $"A database's name has 1 to {IdentifierBytesMax} bytes.");
        if (Interlocked.Exchange(ref _atWork, 1) == 1)
            return new BranchError(BranchErrorKind.NotReady, "Another import is at work. Wait for its end.");
        try
        {
            return await ImportAsync(dump, database, request.CreatesRoles, onProgress, cancellationToken);
        }
        catch (NpgsqlException exception)
        {
            // A server that cannot write its log ends, and says so to nobody.
            var isFull = freeBytes() < BranchRegistry.FreeBytesMin;
            await RecoverAsync(cancellationToken);
            return isFull ? NoSpace : new BranchError(BranchErrorKind.ComputeFailed, $"Main did not take the import: {exception.Message}");
        }
        catch (Exception exception) when (exception is ChildProcessException or StorageException or IOException or InvalidOperationException)
        {
            return BranchError.OfStorage(exception);
        }
        finally
        {
            Volatile.Write(ref _atWork, 0);
        }
    }

    async Task<BranchResult<ImportReport>> ImportAsync(
        DumpFile dump, string database, bool createsRoles, Action<ImportProgress> onProgress, CancellationToken cancellationToken)
    {
        if (!await main.AnswersAsync(AnswerLimit, cancellationToken))
            return new BranchError(BranchErrorKind.NotReady, "Main does not answer; it is started again. `tributary status` shows what it says.");
        if (await OccupiedAsync(database, cancellationToken) is { } occupied)
            return occupied;
        Log.ImportBegins(logger, dump.Path, database);
        var started = time.GetTimestamp();

        // Step 2: main's present.
        var present = await seeds.OfNowAsync(cancellationToken);
        var imported = await main.ChangeAsync(present, token => ChangeAsync(dump, database, createsRoles, onProgress, token), cancellationToken);
        if (imported.Value is not { } report)
            return imported;
        Log.Imported(logger, database, report.Bytes, time.GetElapsedTime(started).TotalMilliseconds);

        // Step 6: a seed. The import stands, whatever becomes of that; it is tried again every second.
        onProgress(new ImportProgress(ImportPhase.Seeding, report.Bytes));
        try
        {
            return report with { Seed = await seeds.OfNowAsync(cancellationToken) };
        }
        catch (Exception exception) when (exception is ChildProcessException or StorageException or NpgsqlException or IOException)
        {
            return report with { SeedError = exception.Message };
        }
    }

    async Task<BranchResult<ImportReport>> ChangeAsync(DumpFile dump, string database, bool createsRoles, Action<ImportProgress> onProgress, CancellationToken cancellationToken)
    {
        await using var connection = await main.ConnectAsync("postgres", cancellationToken);
        // What an earlier one could not remove is of no use.
        await DropAsync(connection, OwnMain.UnfinishedDatabase, cancellationToken);
        try
        {
            // Step 3: roles.
            var roles = createsRoles ? await CreateRolesAsync(connection, dump, cancellationToken) : [];

            // Step 4: restore.
            await connection.ExecuteAsync($"CREATE DATABASE {OwnMain.UnfinishedDatabase} TEMPLATE template0", cancellationToken);
            onProgress(new ImportProgress(ImportPhase.Restoring, 0));
            if (await RestoreAsync(dump, connection, onProgress, cancellationToken) is { } failed)
                return failed;
            onProgress(new ImportProgress(ImportPhase.Analyzing, await SizeAsync(connection, cancellationToken)));
            await using (var inside = await main.ConnectAsync(OwnMain.UnfinishedDatabase, cancellationToken))
                await inside.ExecuteAsync("ANALYZE", cancellationToken);

            var bytes = await SizeAsync(connection, cancellationToken);

            // Step 5: the name.
            await RenameAsync(connection, database, cancellationToken);
            return new ImportReport(database, bytes, roles, null, null);
        }
        finally
        {
            // After the renaming there is none of that name.
            await DropAsync(connection, OwnMain.UnfinishedDatabase, CancellationToken.None);
        }
    }

    // A database that holds anything of a user's is never replaced.
    async Task<BranchError?> OccupiedAsync(string database, CancellationToken cancellationToken)
    {
        await using (var connection = await main.ConnectAsync("postgres", cancellationToken))
        {
            await using var exists = new NpgsqlCommand("SELECT datistemplate FROM pg_database WHERE datname = $1", connection) { Parameters = { new() { Value = database } } };
            switch (await exists.ExecuteScalarAsync(cancellationToken))
            {
                case null:
                    return null;
                case true:
                    return new BranchError(BranchErrorKind.AlreadyExists, $"{database} is a template of main's and takes no import. Name another database.");
            }
        }

        await using var inside = await main.ConnectAsync(database, cancellationToken);
        // Everything with an identifier of its own that initdb has not made lies above FirstNormalObjectId (src/include/access/transam.h).
        await using var question = new NpgsqlCommand(
            """
            SELECT EXISTS (SELECT FROM pg_class WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384)
                OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_extension WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_largeobject_metadata)
            """, inside);
        return await question.ExecuteScalarAsync(cancellationToken) is true
            ? new BranchError(BranchErrorKind.AlreadyExists, $"Main has a database {database} that is not empty; it is left as it is. Name another one for the import.")
            : null;
    }

    static async Task<IReadOnlyList<string>> CreateRolesAsync(NpgsqlConnection connection, DumpFile dump, CancellationToken cancellationToken)
    {
        var made = new List<string>();
        foreach (var role in await DumpPrograms.RolesAsync(dump, cancellationToken))
        {
            if (await OwnMain.EnsureRoleAsync(connection, role, cancellationToken))
                made.Add(role);
        }

        return made;
    }

    // An import that would fill the pool is ended before main and the branches, who share it, cannot write.
    async Task<BranchError?> RestoreAsync(DumpFile dump, NpgsqlConnection connection, Action<ImportProgress> onProgress, CancellationToken cancellationToken)
    {
        var space = new ImportSpace(freeBytes, flush);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var restoring = DumpPrograms.RestoreAsync(dump, main.SocketDirectory, OwnMain.UnfinishedDatabase, end.Token);
        try
        {
            var shown = time.GetTimestamp();
            while (await Task.WhenAny(restoring, Task.Delay(SpaceInterval, time, end.Token)) != restoring && !end.IsCancellationRequested)
            {
                if (await space.IsShortAsync(end.Token))
                    return NoSpace;
                if (time.GetElapsedTime(shown) < ProgressInterval)
                    continue;
                onProgress(new ImportProgress(ImportPhase.Restoring, await SizeAsync(connection, end.Token)));
                shown = time.GetTimestamp();
            }

            return await restoring;
        }
        finally
        {
            await end.CancelAsync();
            await ((Task)restoring).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    static async Task RenameAsync(NpgsqlConnection connection, string database, CancellationToken cancellationToken)
    {
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            if (await OwnMain.HasDatabaseAsync(connection, database, cancellationToken))
                await connection.ExecuteAsync($"ALTER DATABASE {SqlQuoting.Identifier(database)} RENAME TO {OwnMain.ReplacedDatabase}", cancellationToken);
            await connection.ExecuteAsync($"ALTER DATABASE {OwnMain.UnfinishedDatabase} RENAME TO {SqlQuoting.Identifier(database)}", cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        await DropAsync(connection, OwnMain.ReplacedDatabase, CancellationToken.None);
    }

    // What the import has left would hold the space that main needs.
    async Task RecoverAsync(CancellationToken cancellationToken)
    {
        if (!await main.AnswersAsync(AnswerLimit, cancellationToken))
            return;
        try
        {
            await using var connection = await main.ConnectAsync("postgres", cancellationToken);
            await DropAsync(connection, OwnMain.UnfinishedDatabase, cancellationToken);
        }
        catch (NpgsqlException)
        {
            // The next start of main removes it, and so does the next import.
        }
    }

    // A program that was just killed may still have its session.
    static async Task DropAsync(NpgsqlConnection connection, string database, CancellationToken cancellationToken) =>
        await connection.ExecuteAsync($"DROP DATABASE IF EXISTS {database} WITH (FORCE)", cancellationToken);

    static async Task<long> SizeAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT pg_database_size('{OwnMain.UnfinishedDatabase}')", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
