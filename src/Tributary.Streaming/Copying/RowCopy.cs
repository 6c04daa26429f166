using System.Buffers;
using System.Data;
using Npgsql;

namespace Tributary.Streaming.Copying;

/// <summary>Passes the rows of tables from a snapshot of the source to the target, byte by byte, without reading them.</summary>
internal sealed class RowCopy(string sourceConnection, string targetConnection, string snapshot, ICopyProgress progress)
{
    const int BufferBytes = 128 * 1024;

    public async Task CopyAsync(CopyTable table, CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(sourceConnection, cancellationToken);
        await using var target = await SessionSettings.OpenAsync(targetConnection, cancellationToken);
        await using var reading = await source.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        await ExecuteAsync(source, $"SET TRANSACTION SNAPSHOT '{snapshot}'", cancellationToken);
        await using var writing = await target.BeginTransactionAsync(cancellationToken);
        // An extension may have put rows of its own into its tables; the source's are all there must be.
        await ExecuteAsync(target, $"TRUNCATE ONLY {table.Name}", cancellationToken);
        var columns = table.Columns.Count == 0 ? "" : $" ({string.Join(", ", table.Columns)})";
        var format = table.IsBinary ? "binary" : "text";
        var copyOut = $"COPY {table.Name}{columns} TO STDOUT (FORMAT {format})";
        var copyIn = $"COPY {table.Name}{columns} FROM STDIN (FORMAT {format})";
        if (table.IsBinary)
        {
            await using var from = await source.BeginRawBinaryCopyAsync(copyOut, cancellationToken);
            await using var to = await target.BeginRawBinaryCopyAsync(copyIn, cancellationToken);
            await PassAsync(from, to, cancellationToken);
        }
        else
        {
            using var from = (StreamReader)await source.BeginTextExportAsync(copyOut, cancellationToken);
            await using var to = (StreamWriter)await target.BeginTextImportAsync(copyIn, cancellationToken);
            await PassAsync(from.BaseStream, to.BaseStream, cancellationToken);
        }

        await writing.CommitAsync(cancellationToken);
        progress.TableDone(table.RowsEstimated);
    }

    async Task PassAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int read;
            while ((read = await from.ReadAsync(buffer, cancellationToken)) > 0)
            {
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                progress.RowsCopied(read);
            }
        }
        catch (Exception) when (to is NpgsqlRawCopyStream copy)
        {
            // Disposing an unfinished import would complete it, and half a table would look whole.
            await copy.CancelAsync();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
