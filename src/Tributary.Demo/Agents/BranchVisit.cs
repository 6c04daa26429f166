using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>
/// One agent's stay on its branch: created, entered by an ordinary connection, left and deleted, whatever happens in between.
/// </summary>
sealed class BranchVisit(IBranches branches, TimeProvider time)
{
    /// <param name="Connection">Open; owned by the visit.</param>
    /// <param name="DataAge">How old the newest order in the branch was when the first row arrived; null without orders.</param>
    public sealed record Stay(NpgsqlConnection Connection, TimeSpan Create, TimeSpan FirstRow, TimeSpan? DataAge);

    /// <exception cref="BranchException">The branch could not be created or deleted.</exception>
    /// <exception cref="NpgsqlException">The branch could not be reached.</exception>
    public async Task<T> RunAsync<T>(string name, Func<Stay, Task<T>> work, CancellationToken cancellationToken)
    {
        var requested = time.GetTimestamp();
        try
        {
            var lease = await branches.CreateAsync(name, cancellationToken);
            var created = time.GetElapsedTime(requested);
            await using var source = ShopDataSource.CreateUnpooled(lease.ConnectionString);
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            await using var newest = new NpgsqlCommand("SELECT max(created_at) FROM orders", connection);
            var newestAt = await newest.ExecuteScalarAsync(cancellationToken);
            var firstRow = time.GetElapsedTime(requested);
            var age = newestAt is DateTime at ? time.GetUtcNow() - new DateTimeOffset(at, TimeSpan.Zero) : (TimeSpan?)null;
            return await work(new Stay(connection, created, firstRow, age));
        }
        finally
        {
            // A cancelled agent still gives its branch back; a failed create may have left one that was never answered.
            await branches.DeleteAsync(name, CancellationToken.None);
        }
    }
}
