using System.Buffers;
using System.Data;
using Npgsql;

namespace Tributary.Streaming.Copying;

/// <summary>Passes the rows of tables from a snapshot of the source to the target, byte by byte, without reading them.</summary>
internal sealed class RowCopy(string sourceConnection, string targetConnection, string snapshot, CopyFence fence, ICopyProgress progress)
{
    const int BufferBytes = 128 * 1024;

    /// <exception cref="StreamException">One side refuses; the target's table is as it was.</exception>
    public async Task CopyAsync(CopyTable table, CancellationToken cancellationToken)
    {
        try
        {
            await using var source = await SessionSettings.OpenAsync(sourceConnection, cancellationToken);
            await using var target = await SessionSettings.OpenAsync(targetConnection, cancellationToken);
            await using var reading = await source.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
            await ExecuteAsync(source, $"SET TRANSACTION SNAPSHOT '{snapshot}'", cancellationToken);
            await using var writing = await target.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
            // An extension may have put rows of its own into its tables; the source's are all there must be.
            await ExecuteAsync(target, $"TRUNCATE {(table.IsPartitioned ? "" : "ONLY ")}{table.Name}", cancellationToken);
            var rows = await PassAsync(table, source, target, cancellationToken);
            // The copy's lock is held, so what is found here was so for all of it.
            if (await SnapshotRows.AreGoneAsync(source, table, cancellationToken))
                throw new SnapshotRowsGoneException(table);
            await fence.RequireAsync(target, cancellationToken);
            await writing.CommitAsync(cancellationToken);
            progress.TableDone(table.RowsEstimated, rows);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn)
        {
            // Dropped or altered since the tables were listed: the next attempt lists those that there are then.
            throw new IOException($"Table {table.Name} was changed while it was to be copied; all is copied anew.", exception);
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            throw new StreamException(
                exception.SqlState == PostgresErrorCodes.InsufficientPrivilege ? StreamErrorKind.Configuration : StreamErrorKind.Data,
                $"The rows of table {table.Name} cannot be copied: {LostLink.Describe(exception)}. The next start copies anew.");
        }
    }

    async Task<long> PassAsync(CopyTable table, NpgsqlConnection source, NpgsqlConnection target, CancellationToken cancellationToken)
    {
        var columns = table.Columns.Count == 0 ? "" : $" ({string.Join(", ", table.Columns)})";
        var format = table.IsBinary ? "binary" : "text";
        // Postgres copies out of a table that is partitioned only by a query.
        var from = table.IsPartitioned ? $"(SELECT {string.Join(", ", table.Columns)} FROM {table.Name})" : $"{table.Name}{columns}";
        var copyOut = $"COPY {from} TO STDOUT (FORMAT {format})";
        var copyIn = $"COPY {table.Name}{columns} FROM STDIN (FORMAT {format})";
        if (table.IsBinary)
        {
            await using var reader = await source.BeginRawBinaryCopyAsync(copyOut, cancellationToken);
            await using var writer = await target.BeginRawBinaryCopyAsync(copyIn, cancellationToken);
            return await PassAsync(table, reader, writer, cancellationToken);
        }
        else
        {
            using var reader = (StreamReader)await source.BeginTextExportAsync(copyOut, cancellationToken);
            await using var writer = (StreamWriter)await target.BeginTextImportAsync(copyIn, cancellationToken);
            return await PassAsync(table, reader.BaseStream, writer.BaseStream, cancellationToken);
        }
    }

    async Task<long> PassAsync(CopyTable table, Stream from, Stream to, CancellationToken cancellationToken)
    {
        var counter = new RowCounter(table.IsBinary);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        var whole = false;
        try
        {
            int read;
            while ((read = await from.ReadAsync(buffer, cancellationToken)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                var before = counter.Rows;
                counter.Add(buffer.AsSpan(0, read));
                progress.RowsCopied(counter.Rows - before, read);
            }

            whole = true;
            return counter.Rows;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            // Disposing an unfinished import would complete it, and half a table would look whole.
            if (!whole && to is NpgsqlRawCopyStream copy)
                await copy.CancelAsync();
        }
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
