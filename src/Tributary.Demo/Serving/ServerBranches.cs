using Npgsql;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Demo.Agents;

namespace Tributary.Demo.Serving;

/// <summary>
/// Branches by the server's API. Deletions wait for a gate, so that all agents' branches exist at once and can be measured together;
/// an open gate lets each agent's branch go when the agent ends.
/// </summary>
sealed class ServerBranches(TributaryClient client) : IBranches
{
    TaskCompletionSource _gate = Opened();

    /// <summary>Keeps branches that agents give back until <see cref="Open"/>.</summary>
    public void Close() => _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Open() => _gate.TrySetResult();

    public Task<BranchLease> CreateAsync(string name, CancellationToken cancellationToken) => CreateAsync(new BranchCreateRequest { Name = name }, name, cancellationToken);

    /// <summary>A branch of the newest seed, whose Postgres its first connection starts, since the server starts none ahead.</summary>
    public Task<BranchLease> CreateAsleepAsync(string name, CancellationToken cancellationToken) =>
        CreateAsync(new BranchCreateRequest { Name = name, FromSeed = true }, name, cancellationToken);

    async Task<BranchLease> CreateAsync(BranchCreateRequest request, string name, CancellationToken cancellationToken)
    {
        var created = await client.CreateBranchAsync(request, cancellationToken);
        return created.Succeeded
            ? new BranchLease(name, ConnectionString(created.Value))
            : throw new BranchException($"The branch {name} could not be created: {created.Problem.Detail}");
    }

    public async Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        await _gate.Task.WaitAsync(cancellationToken);
        var deleted = await client.DeleteBranchAsync(name, purge: true, cancellationToken);
        if (!deleted.Succeeded && deleted.Problem.Code != ProblemCodes.BranchNotFound)
            throw new BranchException($"The branch {name} could not be deleted: {deleted.Problem.Detail}");
    }

    /// <summary>What an ordinary driver is given: host, port, user, password, and the branch's name in <c>options</c>.</summary>
    public static string ConnectionString(BranchResponse branch)
    {
        var userInfo = new Uri(branch.Url).UserInfo;
        return new NpgsqlConnectionStringBuilder
        {
            Host = branch.Host,
            Port = branch.Port,
            Username = branch.User,
            Password = Uri.UnescapeDataString(userInfo[(userInfo.IndexOf(':', StringComparison.Ordinal) + 1)..]),
            Database = branch.Database,
            Options = $"-c branch={branch.Name}",
            Pooling = false,
            // An agent shows what its branch answered, to the last word.
            IncludeErrorDetail = true,
        }.ConnectionString;
    }

    static TaskCompletionSource Opened()
    {
        var gate = new TaskCompletionSource();
        gate.SetResult();
        return gate;
    }
}
