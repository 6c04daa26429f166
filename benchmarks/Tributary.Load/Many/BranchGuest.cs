using Npgsql;
using Tributary.Contracts;
using Tributary.Load.Create;

namespace Tributary.Load.Many;

/// <summary>A client that stays in its branch, which therefore goes on running.</summary>
sealed class BranchGuest(BranchResponse branch) : IAsyncDisposable
{
    readonly NpgsqlConnection _connection = new(FollowedProduction.ConnectionString(branch));

    public async Task EnterAsync(CancellationToken cancellationToken)
    {
        await _connection.OpenAsync(cancellationToken);
        await AskAsync(cancellationToken);
    }

    /// <exception cref="InvalidOperationException">The branch does not hold production's rows.</exception>
    public async Task AskAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(SeedDirectory.FirstRowQuery, _connection);
        if ($"{await command.ExecuteScalarAsync(cancellationToken)}" != SeedDirectory.FirstRow)
            throw new InvalidOperationException($"The branch {branch.Name} does not hold production's rows.");
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
