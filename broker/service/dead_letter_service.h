#ifndef APIUM_BROKER_SERVICE_DEAD_LETTER_SERVICE_H_
#define APIUM_BROKER_SERVICE_DEAD_LETTER_SERVICE_H_

#include "apium/v1/dead_letter_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// apium.v1.DeadLetterService. As TaskServiceImpl.
class DeadLetterServiceImpl final
    : public v1::DeadLetterService::CallbackService {
 public:
  explicit DeadLetterServiceImpl(const ServiceContext& context)
      : context_(context) {}

  grpc::ServerUnaryReactor* ListDeadLetters(
      grpc::CallbackServerContext* rpc,
      const v1::ListDeadLettersRequest* request,
      v1::ListDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* GetDeadLetter(
      grpc::CallbackServerContext* rpc, const v1::GetDeadLetterRequest* request,
      v1::GetDeadLetterResponse* response) override;
  grpc::ServerUnaryReactor* RedriveDeadLetter(
      grpc::CallbackServerContext* rpc,
      const v1::RedriveDeadLetterRequest* request,
      v1::RedriveDeadLetterResponse* response) override;
  grpc::ServerUnaryReactor* DiscardDeadLetter(
      grpc::CallbackServerContext* rpc,
      const v1::DiscardDeadLetterRequest* request,
      v1::DiscardDeadLetterResponse* response) override;
  grpc::ServerUnaryReactor* PurgeDeadLetters(
      grpc::CallbackServerContext* rpc,
      const v1::PurgeDeadLettersRequest* request,
      v1::PurgeDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* StartRedrive(
      grpc::CallbackServerContext* rpc, const v1::StartRedriveRequest* request,
      v1::StartRedriveResponse* response) override;
  grpc::ServerUnaryReactor* GetRedrive(
      grpc::CallbackServerContext* rpc, const v1::GetRedriveRequest* request,
      v1::GetRedriveResponse* response) override;
  grpc::ServerUnaryReactor* CancelRedrive(
      grpc::CallbackServerContext* rpc, const v1::CancelRedriveRequest* request,
      v1::CancelRedriveResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_DEAD_LETTER_SERVICE_H_
