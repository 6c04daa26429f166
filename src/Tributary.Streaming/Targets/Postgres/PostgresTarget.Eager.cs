using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

internal sealed partial class PostgresTarget : IEagerTarget
{
    public async Task<IEagerTransaction?> BeginAsync(uint xid, CancellationToken cancellationToken)
    {
        var connectionString = new NpgsqlConnectionStringBuilder(ConnectionString());
        connectionString.Options += $" -c lock_timeout={(long)options.OpenTransactionLockWait.TotalMilliseconds}";
        var connection = await SessionSettings.OpenAsync(connectionString.ConnectionString, cancellationToken);
        try
        {
            // Two sessions cannot share an origin before Postgres 16. Without one, a stream in the other direction would carry the rows back.
            if (_hasOrigin && !await TrySetOriginAsync(connection, ProgressTable.OpenOriginName(options.Name), cancellationToken))
            {
                await connection.DisposeAsync();
                return null;
            }

            var watch = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, $"tributary {options.Name} watch"), cancellationToken);
            return new EagerTransaction(connection, watch, $"tributary {options.Name}", xid, (batch, token) => SavePositionAsync(connection, batch, token));
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}
