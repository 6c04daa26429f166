using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Tributary.Branching;
using Tributary.Contracts;

namespace Tributary.Server.Api;

/// <summary>
/// The import of a dump into a main that follows nothing, as lines of JSON. It is the client's: when that leaves, or the server stops, the import
/// is taken back.
/// </summary>
sealed class ImportEndpoint(ServerView view)
{
    /// <summary>Lines that wait for a client that does not read; the oldest is of no use then.</summary>
    const int LinesWaitingMax = 16;

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost("/v1/import", (BranchImportRequest request) => Import(request));

    IResult Import(BranchImportRequest request)
    {
        if (string.IsNullOrEmpty(request.File) || !Path.IsPathFullyQualified(request.File))
            return Problems.Result(Problems.Invalid("the dump is named by an absolute path on the server's machine"));
        return view.Branching is { } branching ? new ImportLines(branching.Manager, request) : Problems.Result(Problems.BranchingOff);
    }

    sealed class ImportLines(BranchManager manager, BranchImportRequest request) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(
                httpContext.RequestAborted, httpContext.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
            var lines = Channel.CreateBounded<ImportProgress>(new BoundedChannelOptions(LinesWaitingMax) { FullMode = BoundedChannelFullMode.DropOldest });
            var importing = RunAsync(lines.Writer, end.Token);
            try
            {
                await foreach (var step in lines.Reader.ReadAllAsync(end.Token))
                    await WriteAsync(httpContext.Response, new BranchImportResponse { Phase = NameOf(step.Phase), Bytes = step.Bytes }, end.Token);
                var result = await importing;
                if (result.Succeeded)
                    await WriteAsync(httpContext.Response, Done(result.Value), end.Token);
                else if (httpContext.Response.HasStarted)
                    await WriteAsync(httpContext.Response, new BranchImportResponse { Phase = "failed", Problem = Problem(result.Error) }, end.Token);
                else
                    await Problems.Result(Problem(result.Error)).ExecuteAsync(httpContext);
            }
            catch (OperationCanceledException)
            {
                // The client has left, or the server stops.
            }
            finally
            {
                await end.CancelAsync();
                await ((Task)importing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        async Task<BranchResult<ImportReport>> RunAsync(ChannelWriter<ImportProgress> lines, CancellationToken cancellationToken)
        {
            try
            {
                return await manager.ImportAsync(
                    new ImportRequest(request.File) { Database = request.Database, CreatesRoles = request.CreateRoles }, step => lines.TryWrite(step), cancellationToken);
            }
            finally
            {
                lines.Complete();
            }
        }

        static async Task WriteAsync(HttpResponse response, BranchImportResponse line, CancellationToken cancellationToken)
        {
            response.ContentType ??= "application/x-ndjson";
            await response.WriteAsync(JsonSerializer.Serialize(line, ContractsJson.Default.BranchImportResponse) + "\n", cancellationToken);
            await response.Body.FlushAsync(cancellationToken);
        }

        static ProblemResponse Problem(BranchError error) => error.Kind == BranchErrorKind.AlreadyExists
            ? new ProblemResponse("The database exists", StatusCodes.Status409Conflict, error.Message, ProblemCodes.BranchExists, "name another with --database")
            : Problems.Of(error);

        static BranchImportResponse Done(ImportReport report) => new()
        {
            Phase = "done",
            Database = report.Database,
            Bytes = report.Bytes,
            Roles = report.Roles,
            SeedId = report.Seed?.Id,
            SeedError = report.SeedError,
        };

        static string NameOf(ImportPhase phase) => phase switch
        {
            ImportPhase.Analyzing => "analyzing",
            ImportPhase.Seeding => "seeding",
            _ => "restoring",
        };
    }
}
