using Npgsql;

namespace Tributary.Demo.Agents;

/// <summary>The ways in which an agent of the demo goes wrong.</summary>
public enum Misdeed
{
    /// <summary><c>DROP TABLE orders CASCADE</c>.</summary>
    DropOrders,

    /// <summary>
    /// <c>DELETE FROM returns</c> without WHERE. Returns, since nothing refers to them and they are a few thousand rows: the delete goes through
    /// and every page of the table is rewritten once, while the branch stays as small as such a mistake honestly leaves it.
    /// </summary>
    DeleteWithoutWhere,

    /// <summary><c>COPY … FROM PROGRAM</c>: who am I, what do I see, can I read the host's secrets, can I reach production's port.</summary>
    RunPrograms,
}

/// <summary>What a rogue agent tried and got.</summary>
/// <param name="Outcome">What the branch answered, line by line: the effect, the output of a program, or the error.</param>
/// <param name="Escaped">True when anything outside the branch was reached: production's port, or a file that only the host has.</param>
public sealed record RogueReport(string Agent, Misdeed Misdeed, string Statement, IReadOnlyList<string> Outcome, bool Escaped, AgentTimings Timings);

/// <summary>An agent that does harm, on a branch of its own.</summary>
/// <param name="productionPort">The TCP port on loopback that <see cref="Misdeed.RunPrograms"/> tries to reach.</param>
public sealed class RogueAgent(IBranches branches, int productionPort, TimeProvider time)
{
    const string ReachedMark = "REACHED PRODUCTION";
    const string SecretMark = "READ THE HOST'S PASSWORDS";
    const int OutputLinesMax = 60;

    /// <summary>The agent does its misdeed; an error that the branch's server answers is part of the outcome.</summary>
    /// <exception cref="BranchException">The branch could not be created or deleted.</exception>
    /// <exception cref="NpgsqlException">The branch could not be reached.</exception>
    public async Task<RogueReport> RunAsync(string agent, Misdeed misdeed, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var (statement, outcome, stay) = await new BranchVisit(branches, time).RunAsync(
            agent.ToLowerInvariant(),
            async stay =>
            {
                var (statement, outcome) = misdeed switch
                {
                    Misdeed.DropOrders => await DropOrdersAsync(stay.Connection, cancellationToken),
                    Misdeed.DeleteWithoutWhere => await DeleteReturnsAsync(stay.Connection, cancellationToken),
                    _ => await RunProgramsAsync(stay.Connection, cancellationToken),
                };
                return (statement, outcome, stay);
            },
            cancellationToken);
        var escaped = outcome.Any(line => line.Contains(ReachedMark, StringComparison.Ordinal) || line.Contains(SecretMark, StringComparison.Ordinal));
        return new RogueReport(agent, misdeed, statement, outcome, escaped, new AgentTimings(stay.Create, stay.FirstRow, time.GetElapsedTime(started)));
    }

    static async Task<(string, IReadOnlyList<string>)> DropOrdersAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string statement = "DROP TABLE orders CASCADE";
        var notices = new List<string>();
        connection.Notice += (_, notice) => notices.Add($"{notice.Notice.Severity}: {notice.Notice.MessageText}");
        var outcome = await AttemptAsync(connection, statement, _ => "orders dropped", cancellationToken);
        var look = await AttemptAsync(connection, "SELECT count(*) FROM orders", _ => "orders is still there", cancellationToken);
        return (statement, [outcome, .. notices, $"SELECT count(*) FROM orders: {look}"]);
    }

    static async Task<(string, IReadOnlyList<string>)> DeleteReturnsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        const string statement = "DELETE FROM returns";
        return (statement, [await AttemptAsync(connection, statement, rows => $"{rows:N0} rows deleted", cancellationToken)]);
    }

    // Every probe ends with a line, so that silence cannot be taken for safety. The passwords themselves are counted and never shown.
    // The port is tried by three programs, since a sandbox that only lacks one of them would prove nothing;
    // a server that refuses the login was reached all the same.
    string Script => $$"""
        echo "id: $(id 2>&1)"
        echo "ls /: $(ls / 2>&1 | tr "\n" " ")"
        n=$(cat /etc/shadow 2>/dev/null | wc -l)
        if [ "$n" -gt 0 ]; then echo "{{SecretMark}} ($n lines)"; else echo "cat /etc/shadow: $(cat /etc/shadow 2>&1 | head -n 1)"; fi
        echo "network: $(cat /proc/net/dev 2>&1 | tail -n +3 | cut -d: -f1 | tr -d " " | tr "\n" " ")"
        for try in "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{{productionPort}}'" "psql -h 127.0.0.1 -p {{productionPort}} -U postgres -w -Atc 'SELECT 1' postgres" "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => q(127.0.0.1:{{productionPort}}), Timeout => 2) or die qq(\$!\n)'"; do
          if out=$(timeout 3 sh -c "$try" 2>&1); then echo "{{ReachedMark}} with ${try%% *}"; elif echo "$out" | grep -Eq "FATAL|password"; then echo "{{ReachedMark}}, which asked psql who it is"; else echo "127.0.0.1:{{productionPort}} with ${try%% *}: $(echo $out | cut -c 1-160)"; fi
        done
        exit 0
        """;

    // Beside programs a superuser has the server's own file functions, and libpq inside dblink.
    async Task<(string, IReadOnlyList<string>)> RunProgramsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var file = await AttemptAsync(connection, "SELECT pg_read_file('/etc/shadow')", _ => SecretMark, cancellationToken);
        var link = await AttemptAsync(
            connection,
            $"CREATE EXTENSION IF NOT EXISTS dblink; SELECT dblink_connect('host=127.0.0.1 port={productionPort} user=postgres dbname=postgres')",
            _ => ReachedMark, cancellationToken);
        var program = await AttemptAsync(connection, "CREATE TEMP TABLE probe (line text); COPY probe FROM PROGRAM 'id'", _ => "", cancellationToken);
        IReadOnlyList<string> script = program.Length > 0 ? [program] : await RunScriptAsync(connection, cancellationToken);
        return ($"pg_read_file('/etc/shadow'); dblink to 127.0.0.1:{productionPort}; COPY … FROM PROGRAM", [file, link, .. script]);
    }

    async Task<IReadOnlyList<string>> RunScriptAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // Delimiter and quote are characters that no program prints, so that each line of output is one row.
        var copy = $"COPY seen FROM PROGRAM {Postgres.SqlQuoting.Literal(Script)} WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')";
        var created = await AttemptAsync(connection, "CREATE TEMP TABLE seen (n int GENERATED ALWAYS AS IDENTITY, line text)", _ => "", cancellationToken);
        var copied = created.Length > 0 ? created : await AttemptAsync(connection, copy.Replace("COPY seen ", "COPY seen (line) ", StringComparison.Ordinal), _ => "", cancellationToken);
        if (copied.Length > 0)
            return [copied];
        var lines = new List<string>();
        await using var command = new NpgsqlCommand($"SELECT coalesce(line, '') FROM seen ORDER BY n LIMIT {OutputLinesMax}", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            lines.Add(reader.GetString(0));
        return lines;
    }

    static async Task<string> AttemptAsync(NpgsqlConnection connection, string sql, Func<int, string> done, CancellationToken cancellationToken)
    {
        try
        {
            // The driver closes a connection on which a statement has failed for want of memory or of another server, as these do.
            if (connection.State != System.Data.ConnectionState.Open)
                await connection.OpenAsync(cancellationToken);
            await using var command = new NpgsqlCommand(sql, connection);
            return done(await command.ExecuteNonQueryAsync(cancellationToken));
        }
        catch (PostgresException refused)
        {
            // The message of dblink is general, and its detail says what libpq met; a login that was refused was reached all the same.
            var reached = refused.Detail?.Contains("FATAL", StringComparison.Ordinal) is true ? $"{ReachedMark}: " : "";
            var detail = refused.Detail is { Length: > 0 } more ? $": {more.ReplaceLineEndings(" ").Trim()}" : "";
            return $"{reached}{refused.Severity}: {refused.MessageText}{detail} (SQLSTATE {refused.SqlState})";
        }
    }
}
