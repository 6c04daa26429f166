using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Tributary.Streaming.Sources.Spooling;

/// <summary>
/// One transaction's file: a header, then blocks, each with its length and a checksum in front. It is only appended to, and may be read meanwhile.
/// It is never forced to the disk, since after a crash it is removed and not read.
/// </summary>
internal sealed class SpoolFile : IDisposable
{
    /// <summary>In front of each block: the payload's length and its checksum.</summary>
    public const int BlockHeaderBytes = 8;

    readonly SpoolFolder _folder;
    readonly string _path;
    readonly SafeFileHandle _file;
    readonly byte[] _header;
    long _length;
    bool _disposed;

    public SpoolFile(SpoolFolder folder, string path, byte[] header)
    {
        _folder = folder;
        _path = path;
        _header = header;
        _file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, FileOptions.Asynchronous);
    }

    public long Length => _length;

    /// <param name="block">Room for the block's header, then the payload.</param>
    /// <returns>Where the block begins.</returns>
    public async ValueTask<long> AppendAsync(Memory<byte> block, CancellationToken cancellationToken)
    {
        try
        {
            if (_length == 0)
                await WriteAsync(_header, cancellationToken);
            var payload = block[BlockHeaderBytes..];
            BinaryPrimitives.WriteInt32LittleEndian(block.Span, payload.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(block.Span[4..], Crc32C.Of(payload.Span));
            var offset = _length;
            await WriteAsync(block, cancellationToken);
            return offset;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw _folder.Failed($"take {block.Length} bytes more", exception);
        }
    }

    /// <summary>Fills the buffer with the block at the offset, whose length with its header is the buffer's.</summary>
    /// <exception cref="StreamException">Kind Spool: it cannot be read, or is not what was written.</exception>
    public async ValueTask ReadAsync(long offset, Memory<byte> block, CancellationToken cancellationToken)
    {
        try
        {
            for (var read = 0; read < block.Length;)
            {
                var count = await RandomAccess.ReadAsync(_file, block[read..], offset + read, cancellationToken);
                if (count == 0)
                    throw new EndOfStreamException($"{_path} ends within the block at {offset}");
                read += count;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw _folder.Failed("be read", exception);
        }

        var payload = block.Span[BlockHeaderBytes..];
        if (BinaryPrimitives.ReadInt32LittleEndian(block.Span) != payload.Length ||
            BinaryPrimitives.ReadUInt32LittleEndian(block.Span[4..]) != Crc32C.Of(payload))
            throw _folder.Failed("be trusted", new InvalidDataException($"the block at {offset} of {_path} differs from its checksum"));
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _file.Dispose();
        _folder.Release(_length);
        try
        {
            File.Delete(_path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The next start removes it.
        }
    }

    async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _folder.Reserve(bytes.Length);
        // A write that fails half-way is counted too: the file is given up, and then all of its bytes are released.
        _length += bytes.Length;
        await RandomAccess.WriteAsync(_file, bytes, _length - bytes.Length, cancellationToken);
    }
}
