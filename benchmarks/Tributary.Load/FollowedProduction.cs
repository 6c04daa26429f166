using System.Text.Json;
using Npgsql;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Postgres.Programs;

namespace Tributary.Load;

/// <summary>A production with data, and Tributary on it with at least one seed: where every benchmark of branches begins. Disposing it ends both.</summary>
sealed class FollowedProduction : IAsyncDisposable
{
    /// <summary>Many branches that wake at once wait for each other.</summary>
    const int ConnectSecondsMax = 60;

    FollowedProduction(PostgresServer production, TributaryServer tributary) => (Production, Tributary) = (production, tributary);

    /// <summary>The server that is followed.</summary>
    public PostgresServer Production { get; }

    public TributaryServer Tributary { get; }

    TributaryClient Client => Tributary.Client;

    /// <summary>Makes a production, fills it, starts Tributary on it and waits for the first seed.</summary>
    /// <param name="folder">Holds the production, and Tributary's state.</param>
    /// <param name="branching">Settings of branching, between braces.</param>
    /// <param name="fillAsync">Loads the data.</param>
    /// <exception cref="ChildProcessException">One of them did not start; the message holds its last words.</exception>
    public static async Task<FollowedProduction> StartAsync(
        PostgresInstallation installation, string folder, string branching, Func<PostgresServer, CancellationToken, Task> fillAsync, CancellationToken cancellationToken)
    {
        var production = await PostgresServer.CreateAsync(installation, Path.Combine(folder, "production"), ["wal_level = logical", "shared_buffers = 64MB"], cancellationToken);
        try
        {
            await fillAsync(production, cancellationToken);
            return new FollowedProduction(production, await FollowAsync(production, folder, branching, cancellationToken));
        }
        catch
        {
            await production.DisposeAsync();
            throw;
        }
    }

    /// <summary>The same with Tributary's pool in a folder of the pool that the benchmark's other contestants use, so that one disk serves all.</summary>
    /// <param name="name">Of its folders, in the pool and beside it.</param>
    /// <param name="settings">Further settings of branching, each with a comma before it.</param>
    public static Task<FollowedProduction> StartInAsync(
        PostgresInstallation installation, LoopPool pool, string name, string settings, Func<PostgresServer, CancellationToken, Task> fillAsync, CancellationToken cancellationToken)
    {
        var own = Directory.CreateDirectory(Path.Combine(pool.Path, name)).FullName;
        var folder = Directory.CreateDirectory(Path.Combine(pool.Folder, name)).FullName;
        return StartAsync(installation, folder, $"driver: btrfs, pool: {own}{settings}", fillAsync, cancellationToken);
    }

    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async Task<BranchResponse> CreateBranchAsync(BranchCreateRequest request, CancellationToken cancellationToken) =>
        Wanted($"make the branch {request.Name}", await Client.CreateBranchAsync(request, cancellationToken));

    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async Task<BranchResponse> BranchAsync(string name, CancellationToken cancellationToken) =>
        Wanted($"show the branch {name}", await Client.GetBranchAsync(name, cancellationToken));

    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async Task<IReadOnlyList<BranchResponse>> BranchesAsync(CancellationToken cancellationToken) =>
        Wanted("list the branches", await Client.ListBranchesAsync(cancellationToken)).Branches;

    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async Task<BranchingStatusResponse> StatusAsync(CancellationToken cancellationToken) =>
        Wanted("show the status", await Client.GetStatusAsync(cancellationToken)).Branching;

    /// <summary>Waits until a branch as of now can be had at once, as on a server that has had time.</summary>
    public Task WaitForSpareAsync(CancellationToken cancellationToken) =>
        Tributary.WaitAsync(static status => status.GetProperty("branching").GetProperty("sparesReady").GetInt32() > 0, cancellationToken);

    /// <summary>Deletes a branch, which can still be restored.</summary>
    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async ValueTask DeleteBranchAsync(string name) => Wanted($"delete the branch {name}", await Client.DeleteBranchAsync(name, purge: false, CancellationToken.None));

    /// <summary>The way in through the gateway. A pool of connections would keep branches awake, so there is none.</summary>
    public static string ConnectionString(BranchResponse branch) => new NpgsqlConnectionStringBuilder
    {
        Host = branch.Host,
        Port = branch.Port,
        Username = branch.User,
        Password = PasswordOf(branch),
        Database = branch.Database,
        Options = $"-c branch={branch.Name}",
        Pooling = false,
        Timeout = ConnectSecondsMax,
    }.ConnectionString;

    /// <summary>The password in a branch's URL.</summary>
    public static string PasswordOf(BranchResponse branch) => Uri.UnescapeDataString(new Uri(branch.Url).UserInfo.Split(':')[1]);

    /// <summary>Enters a branch and asks one question.</summary>
    /// <exception cref="InvalidOperationException">It answers something else.</exception>
    public static async Task AskAsync(BranchResponse branch, string query, string answer, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(ConnectionString(branch));
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(query, connection);
        var row = await command.ExecuteScalarAsync(cancellationToken);
        if ($"{row}" != answer)
            throw new InvalidOperationException($"The branch {branch.Name} answered {row} instead of {answer}.");
    }

    public async ValueTask DisposeAsync()
    {
        await Tributary.DisposeAsync();
        await Production.DisposeAsync();
    }

    static Task<TributaryServer> FollowAsync(PostgresServer production, string folder, string branching, CancellationToken cancellationToken) => TributaryServer.StartAsync(
        folder, [$"source: {{ url: '{production.Url()}' }}", $"branching: {{ {branching} }}", "gateway: { listen: 127.0.0.1:0 }"],
        static status => status.GetProperty("branching").TryGetProperty("seeds", out JsonElement seeds) && seeds.GetArrayLength() > 0, cancellationToken);

    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public static T Wanted<T>(string what, ApiResult<T> result)
        where T : class => result.Value ?? throw new InvalidOperationException($"Tributary did not {what}: {result.Problem?.Detail}");
}
